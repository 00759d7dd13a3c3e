//! Tests of buckets, of what both sides measure, and of forecasts that grow as they should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::calibrate::{Link, measure};
use super::forecast::{Sizes, forecast};
use super::*;
use crate::contract::Job;
use crate::data::Side;
use colift_testkit::run_pair;
use std::path::Path;

#[test]
fn buckets_hide_the_size_by_at_most_a_tenth() {
    for (rows, expected) in [(0, 0), (1, 1), (99, 99), (100, 100), (101, 110), (24_000, 24_000), (24_001, 25_000), (999_999, 1_000_000)] {
        assert_eq!(bucket(rows), expected);
        assert_eq!(bucket(expected), expected, "a bucket is its own");
    }
    assert!((10u64..100_000).all(|rows| (rows..=rows + rows / 10 + 1).contains(&bucket(rows))));
}

#[test]
fn both_sides_end_with_the_same_figures() {
    let own = |side: Side| Own { rows: if side == Side::Owner { 1234 } else { 77 }, features: 5 + side as u32 };
    let (a, b, ..) = run_pair(|c| meet(c, Side::Owner, own(Side::Owner)), |c| meet(c, Side::Partner, own(Side::Partner)));
    let met = a.unwrap();
    assert_eq!(met, b.unwrap());
    assert_eq!((met.rows, met.features), ([1300, 77], [5, 6]));
    let Link { round_trip, bytes_a_second, transforms } = met.link;
    assert!(
        round_trip < 1.0 && bytes_a_second.iter().all(|rate| *rate > 1e5) && transforms.iter().all(|speed| *speed > 100.0),
        "{:?}",
        met.link
    );
}

#[test]
fn a_peer_that_measures_nonsense_is_refused() {
    let (a, ..) = run_pair(
        |c| meet(c, Side::Owner, Own { rows: 10, features: 1 }),
        |c| {
            use colift_channel::{Channel, Kind};
            c.receive(Kind { code: 0x0131, name: "sizes by bucket" }, 12).unwrap();
            c.send(Kind { code: 0x0131, name: "sizes by bucket" }, &[&101u64.to_le_bytes()[..], &3u32.to_le_bytes()].concat()).unwrap();
        },
    );
    assert_eq!(a.unwrap_err().id, 821);
    let (a, ..) = run_pair(
        |c| measure(c, Side::Partner),
        |c| {
            use colift_channel::{Channel, Kind};
            for _ in 0..10 {
                c.send(Kind { code: 0x0132, name: "ping" }, &[0; 16]).unwrap();
                c.receive(Kind { code: 0x0132, name: "ping" }, 16).unwrap();
            }
            c.send(Kind { code: 0x0137, name: "size of the next burst" }, &7u32.to_le_bytes()).unwrap();
        },
    );
    assert_eq!(a.unwrap_err().id, 823);
}

fn job(more: &str) -> crate::contract::SharedJob {
    let text = format!(
        "[shared]\nname = \"case\"\ntask = \"logistic\"\nlabel = \"label\"\nid_kind = \"email\"\nexpected_rate = \"1-5%\"\nmin_overlap = 100\n{more}\
         max_rows = {{ owner = 10_000_000, partner = 10_000_000 }}\n[shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
         [private]\ndata = \"d.csv\"\nid = \"id\"\nlink = {{ listen = \"127.0.0.1:1\" }}\n",
        "a".repeat(64),
        "b".repeat(64)
    );
    Job::parse(&text, Side::Owner, Path::new("")).unwrap().shared().clone()
}

#[test]
fn forecasts_grow_with_sizes_links_and_what_is_opened() {
    let fast = Link { round_trip: 1e-4, bytes_a_second: [1e9; 2], transforms: [1e5; 2] };
    let slow = Link { round_trip: 0.04, bytes_a_second: [12.5e6; 2], transforms: [1e5; 2] };
    let sizes = |rows: u64, features: u32| Sizes { rows: [rows, rows], features: [features; 2], matched: rows / 2 };
    let plain = job("");
    let base = forecast(&plain, &sizes(100_000, 20), &fast).unwrap();
    for (shared, sizes, link) in [
        (&plain, sizes(400_000, 20), &fast),
        (&plain, sizes(100_000, 60), &fast),
        (&plain, sizes(100_000, 20), &slow),
        (
            &job(
                "reveal = [\"overlap_to_both\", \"split_to_partner\", \"own_weights\", \"converged_and_in_range\", \"own_standard_errors\"]\n",
            ),
            sizes(100_000, 20),
            &fast,
        ),
    ] {
        let other = forecast(shared, &sizes, link).unwrap();
        assert!(other.seconds > base.seconds, "{other:?} {base:?}");
        assert!(link == &slow || other.sent[0] + other.sent[1] > base.sent[0] + base.sent[1], "{other:?} {base:?}");
    }
    assert!(base.memory.iter().all(|bytes| (50 << 20..1 << 30).contains(bytes)), "{base:?}");
}

/// A scoring job with these lines on what is opened.
fn scoring(opens: &str) -> crate::contract::SharedJob {
    let text = format!(
        "[shared]\nname = \"case\"\ntask = \"score\"\nmodel = \"{}\"\n{opens}\nmax_rows = {{ owner = 1_000_000, partner = 1_000_000 }}\n\
         [shared.peers]\nowner = \"{}\"\npartner = \"{}\"\n\
         [private]\ndata = \"d.csv\"\nid = \"id\"\nmodel = \"m.json\"\nlink = {{ listen = \"127.0.0.1:1\" }}\n",
        "0f".repeat(16),
        "a".repeat(64),
        "b".repeat(64)
    );
    Job::parse(&text, Side::Owner, Path::new("")).unwrap().shared().clone()
}

#[test]
fn decisions_without_scores_are_forecast_and_named() {
    let link = Link { round_trip: 1e-3, bytes_a_second: [1e9; 2], transforms: [1e5; 2] };
    let sizes = Sizes { rows: [10_000; 2], features: [20; 2], matched: 10_000 };
    let bytes = |opens: &str| forecast(&scoring(opens), &sizes, &link).unwrap().sent.iter().sum::<u64>();
    let scores = bytes("output = [\"score\"]\nreveal = [\"overlap_to_both\", \"scores_to_owner\"]");
    let hidden = "reveal = [\"overlap_to_both\", \"decisions_to_owner\"]";
    let a_user = |output: &str| {
        let with = bytes(&format!("output = [{output}]\n{hidden}"));
        (with - scores) / 10_000
    };
    // docs/COSTS.md, less the four bytes of a score, and with the setup's 24 kB.
    let [answers, top, deciles] =
        [a_user("\"yes_no\"]\nthreshold = 0.5 # "), a_user("\"top_share\"]\ntop_share = 0.4 # "), a_user("\"decile\"")];
    assert!((120..135).contains(&answers) && (500..550).contains(&top) && (2_000..2_200).contains(&deciles), "{answers} {top} {deciles}");
    let met = Met { rows: [10_000; 2], features: [20; 2], link };
    let page = preview::page(&scoring(&format!("output = [\"decile\"]\n{hidden}")), &met, &[]);
    for words in ["decisions_to_owner", "no score", "only inside oblivious transfers", "max_runs of 1 or a few"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("rounded to 1/256"));
}
