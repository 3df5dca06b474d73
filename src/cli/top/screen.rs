//! The screen: two pages, keys, and a terminal that is as it was afterwards, whatever happens.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, Wrap};
use serde_json::Value;

use super::super::columns::{Side, count, millis};
use super::super::{Exit, status};
use super::Wish;
use super::feed::Message;
use super::traffic::{Edge, HEADS, Sort, Traffic};
use crate::explain::tame;

/// How soon a key or an answer shows.
const TURN: Duration = Duration::from_millis(50);
/// Widths of the columns. Names get three quarters of what is left, and flags one.
const WIDTHS: [Constraint; HEADS.len()] = [
    Constraint::Fill(3),
    Constraint::Length(6),
    Constraint::Length(5),
    Constraint::Length(5),
    Constraint::Length(5),
    Constraint::Length(7),
    Constraint::Length(7),
    Constraint::Fill(1),
];
/// The column that narrow terminals do without, and how wide one must be for it.
const BYTES_IN: usize = 5;
const ALL_FROM: u16 = 100;
/// Share of errors from which on a row is red.
const BAD: f64 = 0.05;

/// Shows what comes until somebody has had enough.
pub fn run(messages: &Receiver<Message>, wish: Wish) -> anyhow::Result<Exit> {
    // Puts the terminal back before a panic is told, too.
    let mut terminal = ratatui::try_init()?;
    let mut screen = Screen::new(wish);
    let ended = (|| {
        loop {
            while let Ok(message) = messages.try_recv() {
                match message {
                    Message::End => return Ok(Exit::Clean),
                    other => screen.hear(other),
                }
            }
            if screen.is_stale {
                terminal.draw(|frame| screen.draw(frame))?;
                screen.is_stale = false;
            }
            if event::poll(TURN)? && screen.take(&event::read()?) {
                return Ok(Exit::Clean);
            }
        }
    })();
    ratatui::restore();
    ended
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Traffic,
    Health,
}

#[derive(Debug)]
struct Screen {
    page: Page,
    sort: Sort,
    /// Rows above the first that shows.
    above: usize,
    figures: Option<Box<(Traffic, Value)>>,
    trouble: Option<String>,
    colours: bool,
    is_stale: bool,
}

impl Screen {
    fn new(wish: Wish) -> Screen {
        Screen {
            page: Page::Traffic,
            sort: wish.sort,
            above: 0,
            figures: None,
            trouble: None,
            colours: std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
            is_stale: true,
        }
    }

    fn hear(&mut self, message: Message) {
        self.is_stale = true;
        match message {
            Message::Figures(figures) => (self.figures, self.trouble) = (Some(figures), None),
            Message::Silence(why) => self.trouble = Some(why),
            Message::End => {}
        }
    }

    /// True when it is to end.
    fn take(&mut self, event: &Event) -> bool {
        self.is_stale = true;
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Tab | KeyCode::Char('p') => {
                self.above = 0;
                self.page = if self.page == Page::Traffic { Page::Health } else { Page::Traffic };
            }
            KeyCode::Down | KeyCode::Char('j') => self.above = self.above.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above = self.above.saturating_add(10),
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::Home => self.above = 0,
            KeyCode::Char(key) => self.sort = Sort::of_key(*key).unwrap_or(self.sort),
            _ => {}
        }
        false
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let headline = match (&self.trouble, &self.figures) {
            (Some(why), _) => format!("NO ANSWER: {}", tame(why)),
            (None, None) => "waiting for figures".to_owned(),
            (None, Some(figures)) => figures.0.headline(),
        };
        let style = if self.trouble.is_some() { self.red() } else { Style::new().add_modifier(Modifier::BOLD) };
        frame.render_widget(Line::styled(format!("logboom top  {headline}"), style), head);
        let keys = match self.page {
            Page::Traffic => {
                format!("q quit  Tab health  sort by r)ate e)rrors l)atency b)ytes n)ame: {}", self.sort.word())
            }
            Page::Health => "q quit  Tab traffic  up/down scroll".to_owned(),
        };
        frame.render_widget(Line::styled(keys, self.dim()), foot);
        let Some(mut figures) = self.figures.take() else { return };
        match self.page {
            Page::Traffic => {
                figures.0.sort(self.sort);
                self.traffic(&figures.0, frame, body);
            }
            Page::Health => {
                let text = status::text(&figures.1);
                self.above = self.above.min(text.lines().count().saturating_sub(1));
                frame.render_widget(
                    Paragraph::new(text).wrap(Wrap { trim: false }).scroll((self.above as u16, 0)),
                    body,
                );
            }
        }
        self.figures = Some(figures);
    }

    fn traffic(&mut self, traffic: &Traffic, frame: &mut Frame<'_>, area: Rect) {
        let graph_lines = if area.height >= 16 { 3 } else { 0 };
        let [graph, sums, table] =
            Layout::vertical([Constraint::Length(graph_lines), Constraint::Length(1), Constraint::Min(1)]).areas(area);
        let requests = &traffic.series.requests;
        let shown = requests.len().min(usize::from(graph.width));
        let last = &requests[requests.len() - shown..];
        frame.render_widget(Sparkline::default().data(last).style(self.colour(Color::Cyan)), graph);
        let Edge { rps, error_rps, p50_ms, p99_ms, .. } = &traffic.totals;
        let sums_text = format!(
            "{} req/s  {} errors/s  p50 {}  p99 {}  {} pairs",
            count(*rps),
            count(*error_rps),
            millis(*p50_ms),
            millis(*p99_ms),
            traffic.edges.len(),
        );
        frame.render_widget(Line::from(sums_text), sums);
        let rows = traffic.rows();
        let room = usize::from(table.height.saturating_sub(1));
        self.above = self.above.min(rows.len().saturating_sub(room.min(rows.len())));
        let bad: Vec<bool> = traffic.edges.iter().map(|it| it.error_rps > BAD * it.rps).collect();
        let is_shown = |at: &usize| *at != BYTES_IN || area.width >= ALL_FROM;
        let columns: Vec<usize> = (0..HEADS.len()).filter(is_shown).collect();
        let rows = rows.into_iter().enumerate().skip(self.above).take(room).map(|(at, cells)| {
            let style = if bad.get(at).copied().unwrap_or(false) { self.red() } else { Style::new() };
            Row::new(columns.iter().map(|at| cell(&tame(&cells[*at]), HEADS[*at].1))).style(style)
        });
        let heads = Row::new(columns.iter().map(|at| cell(HEADS[*at].0, HEADS[*at].1))).style(self.dim());
        frame.render_widget(Table::new(rows, columns.iter().map(|at| WIDTHS[*at])).header(heads), table);
    }

    fn colour(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn red(&self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

fn cell(text: &str, side: Side) -> Cell<'static> {
    let line = Line::from(text.to_owned());
    Cell::from(line.alignment(if side == Side::Right { Alignment::Right } else { Alignment::Left }))
}
