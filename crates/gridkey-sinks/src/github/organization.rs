//! Which repositories see an organisation's secret: GitHub wants to be told with every write.

use gridkey_engine::ports::{SinkError, SinkFault};
use serde::Deserialize;

use super::api::Request;
use super::{GithubAdapter, Owner, Shown, Sight};

/// How many repositories GitHub lists at a time.
const PAGE: usize = 100;

/// A list is not read any further.
const MOST_PAGES: usize = 100;

/// A repository by its number.
#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    repositories: Vec<Numbered>,
}

impl GithubAdapter<'_> {
    /// What the settings say, and where they say nothing what is so already.
    pub(super) async fn sight(&self, shown: Option<&Shown>) -> Result<Sight, SinkError> {
        let Owner::Organization(organization) = self.place.owner else { return Ok(Sight::default()) };
        let there = shown.and_then(|shown| shown.visibility.clone());
        let Some(visibility) = self.settings.visibility.clone().or_else(|| there.clone()) else {
            let message = format!("nothing says which repositories may see the secret `{}`", self.name);
            return Err(SinkError::new(SinkFault::Invalid, message)
                .help("set `visibility` to `all`, `private` or `selected` for a secret that gridkey makes"));
        };
        let selected_repository_ids = match visibility.as_str() {
            "selected" if !self.settings.selected_repositories.is_empty() => {
                Some(self.numbers(organization).await?)
            }
            "selected" if there.as_deref() == Some("selected") => Some(self.selected().await?),
            "selected" => Some(Vec::new()),
            _ => None,
        };
        Ok(Sight { visibility: Some(visibility), selected_repository_ids })
    }

    /// The numbers of the repositories that the settings name.
    async fn numbers(&self, organization: &str) -> Result<Vec<u64>, SinkError> {
        let mut numbers = Vec::new();
        for name in &self.settings.selected_repositories {
            let answer = self.api.look(&["repos", organization, name]).await?;
            if answer.status != 200 {
                return Err(self
                    .api
                    .error(&answer, &format!("looking for the repository `{organization}/{name}`")));
            }
            numbers.push(answer.json::<Numbered>()?.id);
        }
        Ok(numbers)
    }

    /// The numbers of the repositories that see the secret now.
    async fn selected(&self) -> Result<Vec<u64>, SinkError> {
        let path = [self.place.secret(&self.name), vec!["repositories"]].concat();
        let mut numbers = Vec::new();
        for page in 1..=MOST_PAGES {
            let query = format!("per_page={PAGE}&page={page}");
            let answer = self.api.ask(&Request { query: &query, ..Request::get(&path) }).await?;
            if answer.status != 200 {
                let what = format!("listing the repositories that see the secret `{}`", self.name);
                return Err(self.api.error(&answer, &what));
            }
            let Page { total_count, repositories } = answer.json()?;
            let is_last = repositories.len() < PAGE;
            numbers.extend(repositories.into_iter().map(|repository| repository.id));
            if numbers.len() == total_count {
                return Ok(numbers);
            }
            if is_last {
                break;
            }
        }
        // Sending back a part of the list would take the secret from the others.
        let message = format!("not all repositories could be listed that see the secret `{}`", self.name);
        Err(SinkError::failed(message).help("name them in `selected_repositories`"))
    }
}
