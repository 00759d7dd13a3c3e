//! Which matched rows are test rows: the owner's column or keyed draw, told to the partner (`split_to_partner`).

use crate::align::Aligned;
use crate::contract::{Disclosure, TrainingTerms};
use crate::data::{Side, Split, draw_split};
use crate::error::{Exit, Failure};
use crate::run::{Prepared, limits, rows_of};
use crate::training::opening::Ledger;
use colift_channel::{Channel, Kind};
use colift_primitives::bits::Bits;
use colift_primitives::hash::PartHash;

pub(crate) const SPLIT: Kind = Kind { code: 0x0582, name: "train or test of the matched rows" };

/// The split of the aligned rows, the same on both sides.
///
/// # Errors
/// Exit 18 where the job does not list it; exit 19 for a malformed message; exit 13 without a training row, and on the owner's side as
/// [`limits::check`].
pub(crate) fn exchange(
    channel: &mut dyn Channel,
    ledger: &mut Ledger,
    prepared: &Prepared,
    terms: &TrainingTerms,
    aligned: &Aligned,
) -> Result<Vec<Split>, Failure> {
    let matched = aligned.rows.len();
    let split = if prepared.job.side() == Side::Owner {
        let all = own_split(prepared, terms)?;
        let split: Vec<Split> = aligned.rows.iter().map(|row| all[*row]).collect();
        let training = rows_of(aligned, &split, Split::Train);
        if !training.is_empty() {
            let labels =
                |rows: &[usize]| prepared.table.labels.iter().map(|label| rows.iter().map(|row| label[*row]).collect()).collect::<Vec<_>>();
            limits::check(&labels(&training), &labels(&aligned.rows), terms)?;
        }
        ledger.note(Disclosure::SplitToPartner, 0, matched)?;
        channel.send(SPLIT, &Bits::from_bools(split.iter().map(|s| *s == Split::Test)).to_bytes())?;
        split
    } else {
        ledger.note(Disclosure::SplitToPartner, matched, 0)?;
        let message = channel.receive(SPLIT, matched.div_ceil(8))?;
        let bits = Bits::from_bytes(&message, matched).ok_or_else(|| Failure::new(Exit::Protocol, 563, "the split is malformed"))?;
        bits.iter().map(|test| if test { Split::Test } else { Split::Train }).collect()
    };
    if !split.contains(&Split::Train) {
        return Err(Failure::new(Exit::Data, 551, format!("none of the {matched} matched users is a training user")));
    }
    Ok(split)
}

/// The split of all the owner's rows: its column, or a draw keyed by the job, so that the same job splits alike.
pub(crate) fn own_split(prepared: &Prepared, terms: &TrainingTerms) -> Result<Vec<Split>, Failure> {
    match &prepared.table.split {
        Some(split) => Ok(split.clone()),
        None => {
            let key = PartHash::new("colift split").part(prepared.job.shared().digest().as_bytes()).finish();
            draw_split(&prepared.table.ids, &key, terms.test_share)
        }
    }
}
