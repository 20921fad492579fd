//! A program that reads its secret at any moment: no place may hold a key that was revoked just now.

use std::collections::BTreeSet;

use crate::location::Location;
use crate::project::Project;
use crate::site::{ACCOUNTS, Site};

/// Looks at every place that the manifests name whenever a key is revoked.
///
/// What is looked at a moment later may have been put right by then, so not every breach is seen; answers that take a few
/// milliseconds make most of them last so long.
pub struct Watch {
    /// Each place, with the project and key that want it.
    places: Vec<(String, Location)>,
    revoked: BTreeSet<String>,
    /// How many requests were heard when it looked last.
    heard: usize,
    /// What it saw that must not be.
    pub broken: Vec<String>,
}

impl Watch {
    /// Over all that is wanted, but for the environments of projects that are told to revoke their keys.
    pub fn new(site: &Site, projects: &[Project], destroyed: &BTreeSet<(&str, &str)>) -> Self {
        let mut places = Vec::new();
        for project in projects {
            let wanted = project.wanted().into_iter();
            for wanted in wanted.filter(|wanted| !destroyed.contains(&(project.name, wanted.environment))) {
                let whose = format!("{} {}", project.name, wanted.address);
                places.extend(wanted.locations.into_iter().map(|location| (whose.clone(), location)));
            }
        }
        Self { places, revoked: revoked(site), heard: 0, broken: Vec::new() }
    }

    /// Looks where something was heard since, and says how many requests were heard in all.
    pub fn look(&mut self, site: &Site) -> usize {
        let heard = site.server.model().log().len();
        if heard == std::mem::replace(&mut self.heard, heard) {
            return heard;
        }
        let revoked = revoked(site);
        let new: BTreeSet<&String> = revoked.difference(&self.revoked).collect();
        if !new.is_empty() {
            for (whose, location) in &self.places {
                // A file that is not whole is seen once the round is over.
                let Ok(Some(held)) = location.held(site) else { continue };
                if let Some(id) = held.split('.').nth(1).filter(|id| new.contains(&(*id).to_string())) {
                    self.broken.push(format!("outage: {whose}: {location} holds {id}, which was revoked"));
                }
            }
        }
        self.revoked = revoked;
        heard
    }
}

/// The ids of all keys that are revoked.
fn revoked(site: &Site) -> BTreeSet<String> {
    let keys = ACCOUNTS.iter().flat_map(|(account, _)| site.keys(account));
    keys.filter(|key| !key.live).map(|key| key.id).collect()
}
