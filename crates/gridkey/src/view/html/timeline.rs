//! When keys were made, when they are due for rotation, and when older ones go.

use std::time::Duration;

use gridkey_core::Name;
use gridkey_core::plan::{Change, Note, Plan};
use jiff::Timestamp;
use maud::{Markup, html};

use super::super::words::{duration, time};

const WIDTH: i64 = 1_000;
const LABEL: i64 = 290;
/// As much of a label as fits before the bars.
const LABEL_LETTERS: usize = 42;
/// Room on the right for how long something is overdue.
const MARGIN: i64 = 120;
const ROW: i64 = 26;
const HEAD: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

/// More rows than this are no picture any more.
const ROWS: usize = 300;

/// One key with a date.
struct Row<'a> {
    account: &'a Name,
    change: &'a Change,
    /// From the key's making until it is due, and until the older one is gone.
    rotation: Option<(Timestamp, Timestamp, Timestamp)>,
    /// When older keys and locations go.
    retiring: Vec<Timestamp>,
}

pub(super) fn section(plan: &Plan) -> Markup {
    let mut rows: Vec<Row<'_>> = plan.changes.iter().filter_map(row).collect();
    let Some(now) = plan.accounts.values().filter_map(|account| account.observed_at).max() else {
        return html! {};
    };
    if rows.is_empty() {
        return html! {};
    }
    rows.sort_by_key(|row| (row.next(), row.account, &row.change.address));
    let all = rows.len();
    rows.truncate(ROWS);
    let times = rows.iter().flat_map(Row::times).chain([now]);
    let (first, last) = times.fold((now, now), |(first, last), at| (first.min(at), last.max(at)));
    let axis = Axis { first: first.as_second() - DAY, last: last.as_second() + DAY };
    let height = HEAD + ROW * i64::try_from(rows.len()).unwrap_or(0) + 22;
    let bottom = height - 14;
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Rotation" }
            @if rows.len() < all { p.faint { (rows.len()) " of " (all) " keys are drawn, the nearest dates first." } }
            div.scroll {
                svg.timeline viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="When keys are due" {
                    @for at in axis.ticks() {
                        line.tick x1=(axis.at(at)) x2=(axis.at(at)) y1=(HEAD - 6) y2=(bottom) {}
                        text.tick x=(axis.at(at)) y="16" text-anchor="middle" { (day(at)) }
                    }
                    @for (index, row) in rows.iter().enumerate() { (draw(row, index, &axis, now)) }
                    line.now x1=(axis.at(now.as_second())) x2=(axis.at(now.as_second())) y1=(HEAD - 6) y2=(bottom) {}
                    text.now x=(axis.at(now.as_second())) y=(height - 2) text-anchor="middle" { "now" }
                }
            }
            p.legend {
                span.swatch.ours {} " from its making until it is due "
                span.swatch.overlap {} " overlap " span.swatch.freed {} " overdue "
                " ◆ an older key or location goes; now is " (time(now)) ", when the accounts were looked at"
            }
        }
    }
}

fn row(change: &Change) -> Option<Row<'_>> {
    let rotation = change.rotation.map(|dates| {
        let until = jiff::SignedDuration::try_from(dates.overlap).ok();
        let gone = until.and_then(|overlap| dates.due.checked_add(overlap).ok()).unwrap_or(dates.due);
        (dates.made, dates.due, gone)
    });
    let retiring: Vec<Timestamp> = change
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::RetiringKey { after, .. } | Note::RetiringLocation { after, .. } => Some(*after),
            _ => None,
        })
        .collect();
    let row = Row { account: &change.account, change, rotation, retiring };
    (row.rotation.is_some() || !row.retiring.is_empty()).then_some(row)
}

impl Row<'_> {
    fn times(&self) -> Vec<Timestamp> {
        let rotation = self.rotation.into_iter().flat_map(|(made, due, gone)| [made, due, gone]);
        rotation.chain(self.retiring.iter().copied()).collect()
    }

    /// The nearest date that something happens at.
    fn next(&self) -> Option<Timestamp> {
        self.rotation.map(|(_, due, _)| due).into_iter().chain(self.retiring.iter().copied()).min()
    }
}

/// What time is where.
struct Axis {
    first: i64,
    last: i64,
}

impl Axis {
    fn at(&self, second: i64) -> i64 {
        LABEL + (second - self.first) * (WIDTH - LABEL - MARGIN) / (self.last - self.first).max(1)
    }

    /// Midnights, some days apart, so that up to eight fit.
    fn ticks(&self) -> Vec<i64> {
        let days = (self.last - self.first) / DAY;
        let step =
            [1, 2, 7, 14, 30, 90, 365].into_iter().find(|step| days / step <= 8).unwrap_or(days / 8 + 1)
                * DAY;
        let mut at = self.first.div_euclid(DAY) * DAY + DAY;
        let mut ticks = Vec::new();
        while at < self.last {
            ticks.push(at);
            at += step;
        }
        ticks
    }
}

fn day(second: i64) -> String {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d").to_string()
}

/// The account and the address; of what is too long, the end, which differs most.
fn label(row: &Row<'_>) -> String {
    let whole = format!("{} {}", row.account, row.change.address);
    let letters = whole.chars().count();
    if letters <= LABEL_LETTERS {
        return whole;
    }
    std::iter::once('…').chain(whole.chars().skip(letters - LABEL_LETTERS + 1)).collect()
}

fn draw(row: &Row<'_>, index: usize, axis: &Axis, now: Timestamp) -> Markup {
    let top = HEAD + ROW * i64::try_from(index).unwrap_or(0);
    let x = |at: Timestamp| axis.at(at.as_second());
    // A document may hold any dates, and a browser complains of a negative width.
    let length = |from: Timestamp, to: Timestamp, least: i64| (x(to) - x(from)).max(least);
    html! {
        text.key x="0" y=(top + 16) {
            (label(row))
            title { (row.account) " " (row.change.address) }
        }
        @if let Some((made, due, gone)) = row.rotation {
            rect.life x=(x(made)) y=(top + 5) width=(length(made, due, 0)) height="14" rx="3" {
                title { "made " (time(made)) ", due " (time(due)) }
            }
            rect.overlap x=(x(due)) y=(top + 5) width=(length(due, gone, 2)) height="14" {}
            @if due < now {
                rect.overdue x=(x(due)) y=(top + 5) width=(length(due, now, 2)) height="14" {
                    title { "overdue since " (time(due)) }
                }
                text.overdue x=(x(now) + 7) y=(top + 16) { "overdue " (since(due, now)) }
            }
        }
        @for at in &row.retiring {
            text.retires x=(x(*at)) y=(top + 17) text-anchor="middle" { "◆" title { "older key or location goes after " (time(*at)) } }
        }
    }
}

/// How long ago that was.
fn since(due: Timestamp, now: Timestamp) -> String {
    Duration::try_from(now.duration_since(due)).map(duration).unwrap_or_default()
}
