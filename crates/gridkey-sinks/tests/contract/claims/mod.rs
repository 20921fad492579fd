//! What each claim means, as code over any service.

mod basic;
mod faults;
mod lasting;

use crate::bench::Bench;
use crate::claim::Claim;

/// Panics where the claim does not hold.
pub async fn holds(claim: Claim, bench: &Bench) {
    match claim {
        Claim::Empty => basic::empty(bench).await,
        Claim::Put => basic::put_arrives(bench).await,
        Claim::OwnId => basic::own_id(bench).await,
        Claim::ReadBack => basic::read_back(bench).await,
        Claim::ForeignValue => basic::foreign_value(bench).await,
        Claim::Conflict => basic::conflict(bench).await,
        Claim::Remove => basic::remove(bench).await,
        Claim::Neighbours => basic::neighbours(bench).await,
        Claim::NowhereIsNotEmpty => basic::nowhere_is_not_empty(bench).await,
        Claim::BadName => basic::bad_name(bench).await,
        Claim::TwoSpellings => basic::two_spellings(bench).await,
        Claim::Unreachable => faults::unreachable(bench).await,
        Claim::Unauthorised => faults::unauthorised(bench).await,
        Claim::Slow => faults::slow(bench).await,
        Claim::Cut => faults::cut(bench).await,
        Claim::RepeatAfterLostAnswer => faults::repeat_after_lost_answer(bench).await,
        Claim::StaleRead => faults::stale_read(bench).await,
        Claim::Throttled => faults::throttled(bench).await,
        Claim::CredentialEnds => faults::credential_ends(bench).await,
        Claim::NoSecretInUri => faults::no_secret_in_uri(bench).await,
        Claim::ConflictGrade => faults::conflict_grade(bench).await,
        Claim::Tombstone => lasting::tombstone(bench).await,
        Claim::OlderKept => lasting::older_kept(bench).await,
        Claim::CheckWritesNothing => lasting::check_writes_nothing(bench).await,
        Claim::MetadataStays => lasting::metadata_stays(bench).await,
        Claim::TwoKeysOneContainer => lasting::two_keys_one_container(bench).await,
        Claim::DiesByItself => lasting::dies_by_itself(bench).await,
    }
}
