//! AWS Secrets Manager and the Parameter Store of AWS Systems Manager.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::{Described, Fault, Reached, address, only, path as file_path, unless, unless_any};

/// A secret in AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSecretsManagerSettings {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The secret's name or ARN.
    pub secret: String,
    /// A member of a JSON secret; without it the secret is the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The profile of the AWS configuration; what `AWS_PROFILE` says where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A role to take on first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AwsAssumeRoleSettings>,
    /// The accounts that the credentials may be of: a guard against writing into the wrong one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_account_ids: Vec<String>,
    /// The KMS key of a secret that gridkey makes; one that is there keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Tags of a secret that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The description of a secret that gridkey makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether gridkey makes the secret where it is missing; the default is `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<bool>,
    /// An address in place of the region's own, such as that of a VPC endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// A file with the certificates of further authorities, in PEM; `AWS_CA_BUNDLE` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}

/// A parameter in AWS Systems Manager, as a SecureString.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSsmSettings {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The parameter's name, such as `/prod/sendgrid`.
    pub parameter: String,
    /// A member of a JSON value; without it the secret is the whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The profile of the AWS configuration; what `AWS_PROFILE` says where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A role to take on first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AwsAssumeRoleSettings>,
    /// The accounts that the credentials may be of: a guard against writing into the wrong one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_account_ids: Vec<String>,
    /// The KMS key; without it a parameter that is there keeps its own, and a new one gets the account's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// `Standard`, `Advanced` or `Intelligent-Tiering`; without it a parameter that is there keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Standard", "Advanced", "Intelligent-Tiering"]))]
    pub tier: Option<String>,
    /// Tags of a parameter that gridkey makes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The description of a parameter that gridkey makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// An address in place of the region's own, such as that of a VPC endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// A file with the certificates of further authorities, in PEM; `AWS_CA_BUNDLE` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
}

/// A role of AWS to take on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsAssumeRoleSettings {
    /// The role's ARN.
    pub role_arn: String,
    /// The session's name; `gridkey` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// The external id that the role asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

const REGION: &str = "a region is called as AWS calls it, such as `eu-west-1`";
const ACCOUNT: &str = "an account's id has twelve digits, in quotes";
const OWN_TAG: &str = "gridkey tells by `managed-by: gridkey` what it made; use another tag";

/// The tag that gridkey gives to what it makes.
const MANAGED_BY: (&str, &str) = ("managed-by", "gridkey");

fn keeps_own_tag(tags: &BTreeMap<String, String>) -> bool {
    let (name, value) = MANAGED_BY;
    tags.get(name).is_none_or(|given| given == value)
}

fn is_region(text: &str) -> bool {
    only(text, "-") && text.contains('-') && text.chars().next().is_some_and(|c| c.is_ascii_lowercase())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|c| c.is_ascii_digit())
}

/// A name of a secret without the suffix that AWS gives to its ARN: a name that ends like one is taken for it.
fn has_suffix(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, suffix)| suffix.len() == 6 && only(suffix, ""))
}

impl AwsSecretsManagerSettings {
    /// The name, where the secret is given by its ARN.
    fn name(&self) -> &str {
        match self.secret.split_once(":secret:") {
            Some((_, name)) if has_suffix(name) => name.rsplit_once('-').map_or(name, |(name, _)| name),
            Some((_, name)) => name,
            None => &self.secret,
        }
    }

    fn document(&self) -> String {
        format!("aws_secrets_manager:{}/{}", self.region, self.name())
    }
}

impl Described for AwsSecretsManagerSettings {
    fn place(&self) -> String {
        let Self {
            region,
            secret,
            field,
            profile: _,
            assume_role: _,
            allowed_account_ids: _,
            kms_key_id: _,
            tags: _,
            description: _,
            create: _,
            endpoint_url: _,
            ca_bundle: _,
        } = self;
        format!("{region}/{secret}#{}", field.as_deref().unwrap_or_default())
    }

    fn reached(&self) -> Option<String> {
        Some(format!("{}#{}", self.document(), self.field.as_deref().unwrap_or_default()))
    }

    fn container(&self) -> Option<String> {
        Some(self.document())
    }

    fn is_whole(&self) -> bool {
        self.field.is_none()
    }

    fn faults(&self) -> Vec<Fault> {
        let name = self.name();
        let is_arn = self.secret.starts_with("arn:");
        vec![
            ("region", unless(is_region(&self.region), REGION)),
            (
                "secret",
                unless(
                    (1..=512).contains(&name.len()) && only(name, "/_+=.@-"),
                    "a name has up to 512 letters, digits and `/_+=.@-`",
                ),
            ),
            (
                "secret",
                unless(
                    is_arn || !has_suffix(name),
                    "AWS takes a name that ends in a hyphen and six characters for part of an ARN; end it otherwise",
                ),
            ),
            (
                "allowed_account_ids",
                unless(self.allowed_account_ids.iter().all(|id| is_account(id)), ACCOUNT),
            ),
            ("tags", unless(keeps_own_tag(&self.tags), OWN_TAG)),
            ("endpoint_url", self.endpoint_url.as_deref().map_or("", address)),
            ("ca_bundle", self.ca_bundle.as_deref().map_or("", file_path)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        self.endpoint_url.as_deref().map(Reached::Endpoint).into_iter().collect()
    }
}

impl AwsSsmSettings {
    fn document(&self) -> String {
        // An ARN's parameter begins with a slash, if its name has one, and a name alone may have none.
        let name = self.parameter.split_once(":parameter").map_or(&*self.parameter, |(_, name)| name);
        let one = name.strip_prefix('/').filter(|name| !name.contains('/')).unwrap_or(name);
        format!("aws_ssm:{}/{one}", self.region)
    }
}

impl Described for AwsSsmSettings {
    fn place(&self) -> String {
        let Self {
            region,
            parameter,
            field,
            profile: _,
            assume_role: _,
            allowed_account_ids: _,
            kms_key_id: _,
            tier: _,
            tags: _,
            description: _,
            endpoint_url: _,
            ca_bundle: _,
        } = self;
        match field {
            None => format!("{region}/{parameter}"),
            Some(field) => format!("{region}/{parameter}#{field}"),
        }
    }

    fn reached(&self) -> Option<String> {
        match &self.field {
            None => Some(self.document()),
            Some(field) => Some(format!("{}#{field}", self.document())),
        }
    }

    fn container(&self) -> Option<String> {
        Some(self.document())
    }

    fn faults(&self) -> Vec<Fault> {
        const TIERS: [&str; 3] = ["Standard", "Advanced", "Intelligent-Tiering"];
        let name = &self.parameter;
        let bare = name.trim_start_matches('/').to_ascii_lowercase();
        let levels = name.trim_start_matches('/').split('/').count();
        vec![
            ("region", unless(is_region(&self.region), REGION)),
            (
                "parameter",
                unless(
                    (1..=1011).contains(&name.len()) && only(name, "/_.-"),
                    "a parameter's name has letters, digits and `/_.-`; not its ARN, which AWS does not take in writes",
                ),
            ),
            (
                "parameter",
                unless(
                    !bare.starts_with("aws") && !bare.starts_with("ssm"),
                    "AWS keeps names that begin with `aws` or `ssm` to itself",
                ),
            ),
            ("parameter", unless(levels <= 15, "a name has 15 levels at most")),
            (
                "parameter",
                unless(
                    name.starts_with('/') || levels == 1,
                    "a name with levels begins with `/`: `/prod/sendgrid`",
                ),
            ),
            (
                "tier",
                unless_any(
                    self.tier.as_ref(),
                    |tier| TIERS.contains(&tier.as_str()),
                    "it is `Standard`, `Advanced` or `Intelligent-Tiering`",
                ),
            ),
            (
                "allowed_account_ids",
                unless(self.allowed_account_ids.iter().all(|id| is_account(id)), ACCOUNT),
            ),
            ("tags", unless(keeps_own_tag(&self.tags), OWN_TAG)),
            ("endpoint_url", self.endpoint_url.as_deref().map_or("", address)),
            ("ca_bundle", self.ca_bundle.as_deref().map_or("", file_path)),
        ]
    }

    fn reaches(&self) -> Vec<Reached<'_>> {
        self.endpoint_url.as_deref().map(Reached::Endpoint).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: &impl Described) -> Vec<&'static str> {
        settings.faults().into_iter().filter(|(_, help)| !help.is_empty()).map(|(field, _)| field).collect()
    }

    #[test]
    fn the_tag_of_what_gridkey_makes_is_its_own() {
        let tagged = |value: &str| AwsSecretsManagerSettings {
            region: "eu-west-1".to_string(),
            secret: "mail/prod".to_string(),
            tags: [("managed-by".to_string(), value.to_string()), ("team".to_string(), "mail".to_string())]
                .into(),
            ..AwsSecretsManagerSettings::default()
        };
        assert_eq!(faults(&tagged("gridkey")), Vec::<&str>::new());
        assert_eq!(faults(&tagged("terraform")), ["tags"]);
        let parameter = AwsSsmSettings {
            region: "eu-west-1".to_string(),
            parameter: "/mail/prod".to_string(),
            tags: tagged("terraform").tags,
            ..AwsSsmSettings::default()
        };
        assert_eq!(faults(&parameter), ["tags"]);
    }

    #[test]
    fn a_secret_and_its_arns_are_one_place() {
        let of = |secret: &str| AwsSecretsManagerSettings {
            region: "eu-west-1".to_string(),
            secret: secret.to_string(),
            ..AwsSecretsManagerSettings::default()
        };
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mail/prod";
        for other in [arn.to_string(), format!("{arn}-a1B2c3")] {
            assert_eq!(of(&other).reached(), of("mail/prod").reached(), "{other}");
            assert_eq!(faults(&of(&other)), Vec::<&str>::new());
        }
        assert_eq!(faults(&of("mail/prod-a1B2c3")), ["secret"]);
    }
}
