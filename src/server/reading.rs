//! The configuration read again, beside everything else: a file system that hangs holds up a reload, and neither signals nor
//! whatever else is asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::beside::Beside;
use crate::config::{Checked, ConfigErrors};
use crate::control::Reloaded;

/// Reads the configuration again. It may block.
pub type Load = dyn Fn() -> Result<Checked, ConfigErrors> + Send + Sync;

/// Who hears what came of a reload.
pub type Answer = oneshot::Sender<Reloaded>;

/// How long the configuration and the files that it names may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has been read.
#[derive(Debug)]
pub enum Read {
    /// There is no file to read.
    Nothing,
    /// It can be put into force.
    Right(Box<Checked>),
    /// Why it cannot.
    Wrong(String),
}

/// One reading at a time. Who asks during one causes one more: it may have read the file already.
#[derive(Debug, Default)]
pub struct Reading {
    beside: Beside,
    under_way: JoinSet<Read>,
    answers: Vec<Answer>,
    /// Of those who have asked since it began.
    later: Option<Vec<Answer>>,
}

impl Reading {
    /// Has it read, if there is a file.
    pub fn ask(&mut self, answer: Option<Answer>, load: Option<&Arc<Load>>) {
        if self.under_way.is_empty() {
            self.answers.extend(answer);
            self.begin(load);
        } else {
            self.later.get_or_insert_default().extend(answer);
        }
    }

    /// What was read, and who is to hear what comes of it; never, while nobody has asked. Cancel-safe.
    pub async fn done(&mut self, load: Option<&Arc<Load>>) -> (Read, Vec<Answer>) {
        let Some(read) = self.under_way.join_next().await else { return std::future::pending().await };
        let answers = std::mem::take(&mut self.answers);
        if let Some(later) = self.later.take() {
            self.answers = later;
            self.begin(load);
        }
        (read.unwrap_or_else(|crash| Read::Wrong(crash.to_string())), answers)
    }

    fn begin(&mut self, load: Option<&Arc<Load>>) {
        let (beside, load) = (self.beside.clone(), load.map(Arc::clone));
        self.under_way.spawn(async move {
            let Some(load) = load else { return Read::Nothing };
            let read = move || {
                let checked = load()?;
                // They are read again where they are opened, which is no place to wait.
                checked.touch_files();
                Ok(checked)
            };
            match beside.run(PATIENCE, read).await {
                Some(Ok(checked)) => Read::Right(Box::new(checked)),
                Some(Err::<_, ConfigErrors>(errors)) => Read::Wrong(errors.to_string()),
                None => Read::Wrong(format!(
                    "the configuration, or a file that it names, has not answered for {}s; is its file system there?",
                    PATIENCE.as_secs()
                )),
            }
        });
    }
}
