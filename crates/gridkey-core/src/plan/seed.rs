//! Randomness that is handed in: every address draws its own from one seed.

use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::key::Marker;
use crate::name::Name;

/// The seed of a run, drawn by the caller. It is split by address, so that one more key does not change
/// another's markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

/// How many POSTs one creation may try; each has its own marker.
const ATTEMPTS: u32 = 3;

impl Seed {
    fn draw(&self, parts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.0);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The markers for the attempts of one creation: 13 characters, 65 bits each.
    pub(crate) fn markers(&self, account: &Name, address: &Address) -> Vec<Marker> {
        let address = address.to_string();
        (0..ATTEMPTS)
            .map(|attempt| {
                let bytes = self.draw(&["marker", account.as_str(), &address, &attempt.to_string()]);
                Marker::new(letters(&bytes, 13))
            })
            .collect()
    }

    /// The lineage of a new state document.
    pub fn lineage(&self, project: &Name, account: &Name) -> String {
        letters(&self.draw(&["lineage", project.as_str(), account.as_str()]), 26)
    }
}

/// Lower-case letters and digits that are not mistaken for one another, five bits each.
fn letters(bytes: &[u8], count: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    bytes.iter().take(count).map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_and_address_has_its_own_marker() {
        let seed = Seed([7; 32]);
        let account = Name::new("acme").expect("a name");
        let mut all: Vec<_> = ["mailer", "prod/mailer", "staging/mailer"]
            .into_iter()
            .flat_map(|text| seed.markers(&account, &text.parse().expect("an address")))
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|marker| marker.as_str().len() == 13));
    }
}
