//! What records look like: the formats that read lines, rendering them.

use std::rc::Rc;

use fastrand::Rng;

use super::access::Access;
use super::format::{Format, NamedFormat};
use super::render::{self, Context, ID_DIGITS, Rendered, Stamp, TIME_LEN, What};
use super::values;
use crate::decode::format::{Format as Compiled, FormatError, Slot, presets};
use crate::semantics::{Field, Target};

/// Bytes of the longest prefix of a record number: `c1023-`.
const ID_PREFIX_LEN_MAX: usize = 6;

/// What the records of a connection look like.
#[derive(Clone, Debug)]
pub(super) struct Layouts {
    /// What a line is, each as likely.
    lines: Vec<Layout>,
    /// What bodies of OTLP records hold.
    pub http: Rc<Text>,
}

#[derive(Clone, Debug)]
enum Layout {
    Text(Rc<Text>),
    Json,
}

/// A format string with the places to overwrite.
#[derive(Clone, Debug)]
pub(super) struct Text {
    format: Compiled,
    /// Where in the format string the operator is that holds the number of a record.
    id_place: Option<usize>,
}

impl Layouts {
    /// # Errors
    ///
    /// None in practice: the default formats compile.
    pub fn new(format: &Format) -> Result<Layouts, FormatError> {
        let http = Rc::new(Text::new(presets::kuma_http()?));
        let text = |format: Compiled| Layout::Text(Rc::new(Text::new(format)));
        let lines = match format {
            Format::Own(format) => vec![text(Compiled::clone(format))],
            Format::Named(NamedFormat::KumaHttp | NamedFormat::Otlp) => vec![Layout::Text(Rc::clone(&http))],
            Format::Named(NamedFormat::KumaTcp) => vec![text(presets::kuma_tcp()?)],
            Format::Named(NamedFormat::KumaJson) => vec![Layout::Json],
            Format::Named(NamedFormat::Envoy) => vec![text(presets::envoy()?)],
            Format::Named(NamedFormat::Istio) => vec![text(presets::istio()?)],
            Format::Named(NamedFormat::Mixed) => vec![
                Layout::Text(Rc::clone(&http)),
                Layout::Text(Rc::clone(&http)),
                Layout::Json,
                text(presets::kuma_tcp()?),
            ],
        };
        Ok(Layouts { lines, http })
    }

    /// A line, without a newline.
    pub fn render(&self, access: &Access, context: Context<'_>, rng: &mut Rng) -> Rendered {
        match &self.lines[rng.usize(..self.lines.len())] {
            Layout::Text(text) => text.render(access, context),
            Layout::Json => render::json(access, context),
        }
    }
}

impl Text {
    fn new(format: Compiled) -> Text {
        let id_place = id_place(&format);
        Text { format, id_place }
    }

    /// A line, without a newline.
    pub fn render(&self, access: &Access, context: Context<'_>) -> Rendered {
        let mut line = Rendered::default();
        let stamps = &mut line.stamps;
        let mut leave_room = |what: What, out: &mut Vec<u8>| {
            stamps.push(Stamp { at: out.len() as u32, what });
            out.resize(out.len() + what.len(), b'0');
        };
        let value = |slot: &Slot, out: &mut Vec<u8>| match context.id_prefix {
            Some(prefix) if self.id_place == Some(slot.at.start) => {
                out.extend_from_slice(prefix.as_bytes());
                leave_room(What::Id, out);
            }
            _ if is_stamped_time(slot) => leave_room(What::Time, out),
            _ => values::write(slot, access, context, out),
        };
        self.format.render(value, &mut line.bytes);
        line
    }
}

/// Where in the format string the operator is that holds the number of a record: the first request
/// id, in formats without one the first destination service. `None` when there is neither, or it is
/// cut shorter than a number. A record has one number, so there is no second place.
pub(super) fn id_place(format: &Compiled) -> Option<usize> {
    let has_room = |slot: &&Slot| slot.max.is_none_or(|max| max >= ID_PREFIX_LEN_MAX + ID_DIGITS);
    let first = |field: Field| {
        let slots = format.slots().iter().filter(has_room);
        slots.filter(|slot| slot.target == Target::Field(field)).map(|slot| slot.at.start).next()
    };
    first(Field::RequestId).or_else(|| first(Field::DestinationService))
}

/// True for a time in Envoy's default form.
fn is_stamped_time(slot: &Slot) -> bool {
    const { assert!(TIME_LEN == "2026-11-20T11:48:37.057Z".len()) };
    matches!(&*slot.operator, "START_TIME" | "EMIT_TIME") && matches!(slot.params.as_deref(), None | Some(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::access::DataPlane;

    #[test]
    fn places_to_overwrite_are_where_the_operators_are() {
        let check = |text: &str, expected: &[(u32, What)]| {
            let compiled = Compiled::compile(text).unwrap();
            let layouts = Layouts::new(&Format::Own(compiled.clone().into())).unwrap();
            let plane = DataPlane::new(0);
            let context = Context { plane: &plane, id_prefix: Some("c0-"), layouts: &layouts, now_nanos: 0 };
            let line = Text::new(compiled).render(&Access::random(&plane, &mut Rng::with_seed(1)), context);
            let stamps: Vec<_> = line.stamps.iter().map(|stamp| (stamp.at, stamp.what)).collect();
            assert_eq!(stamps, expected, "{text}");
            for (at, what) in expected {
                let end = *at as usize + what.len();
                assert!(line.bytes[*at as usize..end].iter().all(|byte| *byte == b'0'), "{text}");
            }
        };
        check("[%START_TIME%] %REQ(X-REQUEST-ID)%", &[(1, What::Time), (30, What::Id)]);
        check("%KUMA_MESH% %REQ(x-request-id)% %START_TIME()%", &[(11, What::Id), (24, What::Time)]);
        check("%KUMA_DESTINATION_SERVICE%:%KUMA_DESTINATION_SERVICE%", &[(3, What::Id)]);
        check("%REQ(X-REQUEST-ID):8% %EMIT_TIME%", &[(9, What::Time)]);
        check("%START_TIME(%s)% %START_TIME_LOCAL% %PROTOCOL%", &[]);
    }
}
