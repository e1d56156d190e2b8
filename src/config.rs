//! Options or the environment become a checked [`Config`].

mod project;

use serde::Deserialize;

use crate::error::{Code, Error, Stage};
use crate::image::path;
use crate::image::thumbnail::Thumbnail;
use crate::json::{Json, from_one};
use crate::text::{canonical_id, contains, is_bare, is_header_safe, jwt_claims};
use crate::wire::retry::Policy;
use project::{check_key, without_service, without_slashes};

/// The environment's names of the keys, the first that is set counts.
pub const ENV_KEYS: [&str; 4] =
    ["SUPABASE_SERVICE_KEY", "MAI_SUPABASE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"];
/// The environment's name of a JSON object of keys, as Supabase's own functions have it. Its `default` counts, after
/// [`ENV_KEYS`].
pub const ENV_KEY_RING: &str = "SUPABASE_SECRET_KEYS";
/// The environment's name of the project's URL.
pub const ENV_URL: &str = "SUPABASE_URL";
/// The environment's name of the address under which others open the project.
pub const ENV_PUBLIC_URL: &str = "SUPABASE_PUBLIC_URL";
/// The environment's name of the owner.
pub const ENV_OWNER: &str = "IMAGEN_OWNER_USER_ID";

/// The table that the migration makes.
const SCHEMA: &str = "imagen";
const TABLE: &str = "images";

/// 6 MiB: what hosted Storage documents for a piece of a resumable upload.
const PIECE: u64 = 6 * 1024 * 1024;

/// Where images go: whose `url` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// A Supabase project: bytes to its Storage, then the row to its database.
    #[default]
    Project,
    /// The Worker, which has the key, knows bucket and table, and does both.
    #[cfg(feature = "relay")]
    Worker,
}

impl Target {
    /// Whether it is a project, of which all is known here.
    pub fn is_project(self) -> bool {
        matches!(self, Self::Project)
    }
}

/// Options as they come, types checked; `None` for what was left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// The project's address, or the Worker's.
    pub url: Option<String>,
    /// The project's address for whoever opens its links, where that is another one than `url`.
    pub public_url: Option<String>,
    /// The publishable key, or a secret one on a server.
    pub api_key: Option<String>,
    /// Whose the images are: `auth.users.id`.
    pub owner_user_id: Option<String>,
    /// Default `imagen-generated`.
    pub bucket: Option<String>,
    /// Default `imagen`.
    pub schema: Option<String>,
    /// Default `images`.
    pub table: Option<String>,
    /// What every storage path begins with.
    pub path_prefix: Option<String>,
    /// Attempts after the first; default 2, a negative number is none.
    pub max_retries: Option<i32>,
    /// The first wait; default 1000.
    pub initial_backoff_ms: Option<u32>,
    /// The longest wait; default 30000.
    pub max_backoff_ms: Option<u32>,
    /// How long a request may go without progress; default 30000, of a relay 60000.
    #[serde(deserialize_with = "from_one")]
    pub timeout_ms: Option<u32>,
    /// What Storage keeps as the object's `Cache-Control`.
    pub cache_control: Option<String>,
    /// Whether bytes that are no known image are refused.
    pub require_image: bool,
    /// Bytes from which on an image goes in pieces; default 6 MiB.
    #[serde(deserialize_with = "from_one")]
    pub resumable_from: Option<u64>,
    /// Bytes of a piece; default 6 MiB.
    #[serde(deserialize_with = "from_one")]
    pub chunk_size: Option<u64>,
    /// Whether a secret key may be used in a page.
    #[serde(rename = "dangerouslyAllowSecretKeyInBrowser")]
    pub allow_secret_key_in_browser: bool,
    /// What small picture goes beside each image, if any.
    #[serde(skip)]
    pub thumbnail: Option<Thumbnail>,
    /// Whose `url` is.
    #[serde(skip)]
    pub target: Target,
    /// Whether requests go with a user's token: then folders of others are closed to them.
    #[serde(skip)]
    pub as_user: bool,
}

/// What a relay is not told: the Worker knows it.
pub const NOT_OF_A_RELAY: [&str; 9] = [
    "publicUrl",
    "apiKey",
    "bucket",
    "schema",
    "table",
    "pathPrefix",
    "cacheControl",
    "requireImage",
    "dangerouslyAllowSecretKeyInBrowser",
];

/// Whose images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `auth.users.id`, a UUID written as the database does; of a table of one's own any text.
    pub id: String,
    /// The same as it was given, by which an outbox of the owner's is found: 0.1.0 knew no other way of writing it.
    pub as_given: String,
}

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Without a slash at its end.
    pub url: String,
    /// What links begin with; likewise.
    pub public_url: String,
    /// Of a project, and of nothing else.
    pub api_key: Option<String>,
    /// Without one nothing can be synced to a project; the Worker has it of the user's token.
    pub owner: Option<Owner>,
    /// Whether it was given as an empty text, where nothing but its name keeps others' images from whoever asks.
    pub names_nobody: bool,
    /// One name, without a slash.
    pub bucket: String,
    /// One name.
    pub schema: String,
    /// One name.
    pub table: String,
    /// The folder of all paths, if there is one.
    pub path_prefix: Option<String>,
    /// How often and how long to wait.
    pub retry: Policy,
    /// How long a request may go without progress.
    pub timeout_ms: u32,
    /// Fit for a header.
    pub cache_control: Option<String>,
    /// Whether bytes that are no known image are refused.
    pub require_image: bool,
    /// Images of so many bytes and more are uploaded in pieces.
    pub resumable_from: u64,
    /// Bytes of a piece.
    pub chunk_size: u64,
    /// What small picture goes beside each image, if any.
    pub thumbnail: Option<Thumbnail>,
    /// Whose `url` is.
    pub target: Target,
    /// Whether requests go with a user's token.
    pub as_user: bool,
    /// Whether no secret key may be sent from here: whoever opens this page could read it.
    pub must_be_public: bool,
}

impl Config {
    /// Checks the options. `in_browser` says whether this is a page or one of its workers.
    pub fn new(options: Options, in_browser: bool) -> Result<Self, Error> {
        let must_be_public = in_browser && !options.allow_secret_key_in_browser;
        let has_own_folder = !options.target.is_project() || options.as_user && options.path_prefix.is_none();
        let mut config = Self { must_be_public, ..Self::with_defaults(options) };
        if config.has_uuid_owners()
            && let Some(owner) = &mut config.owner
            && let Some(id) = canonical_id(&owner.id)
        {
            // One way of writing it, as the database and the user's token have it.
            owner.id = id;
        }
        if has_own_folder {
            // As the policies ask for it, and as the Worker will do, so that a path is known before it is asked.
            config.path_prefix = config.owner_id().map(str::to_ascii_lowercase);
        }
        config.require_image |= !config.target.is_project();
        config.check(if has_own_folder { "ownerUserId" } else { "pathPrefix" })?;
        let plain = if config.target.is_project() { without_service } else { without_slashes };
        config.url = plain(&config.url).to_owned();
        config.public_url = plain(&config.public_url).to_owned();
        Ok(config)
    }

    fn with_defaults(options: Options) -> Self {
        let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let url = options.url.unwrap_or_default();
        Self {
            public_url: given(options.public_url).unwrap_or_else(|| url.clone()),
            url,
            api_key: given(options.api_key).filter(|_| options.target.is_project()),
            names_nobody: options.owner_user_id.as_deref() == Some("") && !options.as_user,
            owner: given(options.owner_user_id).map(|id| Owner { as_given: id.clone(), id }),
            bucket: or(options.bucket, "imagen-generated"),
            schema: or(options.schema, SCHEMA),
            table: or(options.table, TABLE),
            path_prefix: given(options.path_prefix),
            retry: Policy {
                max_retries: options.max_retries.unwrap_or(2).max(0).unsigned_abs(),
                initial_backoff_ms: options.initial_backoff_ms.unwrap_or(1000),
                max_backoff_ms: options.max_backoff_ms.unwrap_or(30_000),
            },
            // A Worker lets a body wait for others, and then gives Supabase its time.
            timeout_ms: options.timeout_ms.unwrap_or(if options.target.is_project() { 30_000 } else { 60_000 }),
            cache_control: options.cache_control,
            require_image: options.require_image,
            resumable_from: options.resumable_from.unwrap_or(PIECE),
            chunk_size: options.chunk_size.unwrap_or(PIECE),
            thumbnail: options.thumbnail,
            target: options.target,
            as_user: options.as_user,
            must_be_public: false,
        }
    }

    /// `prefix_option` is the option that the prefix is from.
    fn check(&self, prefix_option: &str) -> Result<(), Error> {
        if self.target.is_project() {
            let key = self.api_key.as_deref().unwrap_or_default();
            check_key(key, &self.url).map_err(|problem| Error::option("apiKey", problem))?;
            self.check_public(
                key,
                "apiKey is a secret key, and whoever opens this page could read it. Use the publishable key with accessToken, \
             or a server (dangerouslyAllowSecretKeyInBrowser allows it all the same)",
                "apiKey",
            )?;
        }
        if let Some(prefix) = &self.path_prefix {
            path::check(prefix).map_err(|problem| Error::option(prefix_option, problem))?;
        }
        if self.cache_control.as_deref().is_some_and(|value| !is_header_safe(value)) {
            return Err(Error::option("cacheControl", "is no header value"));
        }
        if let Some(thumbnail) = &self.thumbnail {
            thumbnail.check()?;
        }
        for (option, url) in [("url", &self.url), ("publicUrl", &self.public_url)] {
            self.check_address(url).map_err(|problem| Error::option(option, &problem))?;
        }
        for (option, name) in [("bucket", &self.bucket), ("schema", &self.schema), ("table", &self.table)] {
            if !is_name(name) {
                return Err(Error::option(option, "must be one name of ASCII characters, without a slash"));
            }
        }
        Ok(())
    }

    fn check_address(&self, url: &str) -> Result<(), String> {
        let address = check_url(url);
        if !self.target.is_project() {
            return address.map_err(str::to_owned);
        }
        let problem = address.and_then(|()| project::check_host(url)).err();
        problem.map_or(Ok(()), |problem| Err(format!("{problem}. {}", project::advice(url))))
    }

    /// Refuses a token of the caller's that is a secret key, as a secret `apiKey`.
    pub fn check_token(&self, token: &str) -> Result<(), Error> {
        self.check_public(
            token,
            "accessToken gave a secret key, and whoever opens this page could read it. Give the signed-in user's token",
            "accessToken",
        )
    }

    fn check_public(&self, key: &str, message: &str, option: &str) -> Result<(), Error> {
        match self.must_be_public && is_secret(key) {
            true => Err(Error::new(Stage::Config, Code::SecretKeyInBrowser, message).with_field(option)),
            false => Ok(()),
        }
    }

    /// Refuses to look for images, or to remove them, as nobody: with a secret key they would be everybody's.
    pub fn check_owner(&self) -> Result<(), Error> {
        match self.names_nobody {
            true => Err(Error::field("ownerUserId", "is empty. Leave it out for the images of all, or name one user")),
            false => Ok(()),
        }
    }

    /// The owner of all images, as their rows say it.
    pub fn owner_id(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.id.as_str())
    }

    /// Whether an image of so many bytes is uploaded in pieces.
    pub fn goes_in_pieces(&self, bytes: u64) -> bool {
        cfg!(feature = "resumable") && bytes >= self.resumable_from
    }

    /// Whether owners are `auth.users.id`, as the Worker's are and those of the table that the migration makes. A table of
    /// one's own may have others.
    pub fn has_uuid_owners(&self) -> bool {
        !self.target.is_project() || self.schema == SCHEMA && self.table == TABLE
    }

    /// The folder, with its slash, that holds all that the user may write; `None` where nobody has told, or other policies hold.
    pub fn folder_of_owner(&self) -> Option<String> {
        let owner = self.owner_id().filter(|_| self.as_user && self.has_uuid_owners())?;
        Some(format!("{}/", owner.to_ascii_lowercase()))
    }

    /// Reads the environment through `get`. The error names what is missing: URL, key or both.
    pub fn options_from_env(
        get: &dyn Fn(&str) -> Option<String>,
        parse_json: &dyn Fn(&str) -> Option<Json>,
    ) -> Result<Options, Error> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let default_key = || parse_json(&get(ENV_KEY_RING)?)?.text("default").map(str::to_owned);
        let url = get(ENV_URL).filter(|url| !url.trim_end_matches('/').is_empty());
        let api_key = ENV_KEYS.into_iter().find_map(get).or_else(default_key).filter(|key| !key.is_empty());
        let no_key = "no key: SUPABASE_SERVICE_KEY, MAI_SUPABASE_KEY, SUPABASE_SECRET_KEY, SUPABASE_SERVICE_ROLE_KEY, or \
                      the \"default\" of the JSON in SUPABASE_SECRET_KEYS";
        let (field, missing) = match (&url, &api_key) {
            (Some(_), Some(_)) => {
                let (public_url, owner_user_id) = (get(ENV_PUBLIC_URL), get(ENV_OWNER));
                return Ok(Options { url, public_url, api_key, owner_user_id, ..Options::default() });
            }
            (Some(_), None) => ("SUPABASE_SERVICE_KEY", no_key.to_owned()),
            (None, Some(_)) => (ENV_URL, format!("no {ENV_URL}")),
            (None, None) => (ENV_URL, format!("no {ENV_URL}, and {no_key}")),
        };
        Err(Error::option("env", &format!("has {missing}")).with_field(field))
    }
}

const NOT_BARE: &str = "is the text \"undefined\", or has a space, a line break or a quote at its start or end";

/// `http(s)://host[:port][/path]`.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    if url.is_empty() {
        return Err("is missing");
    }
    if !is_bare(url) {
        return Err(NOT_BARE);
    }
    let lower = url.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")) else {
        return Err("must start with https:// or http://");
    };
    let host = rest.split(['/']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"?#@\\<>\"`^{|}".contains(c);
    if host.is_empty() || host.starts_with(':') || !rest.chars().all(plain) {
        return Err("must be scheme, host and perhaps a path, without a user, a query or a fragment");
    }
    Ok(())
}

/// Whether this is the name of a bucket, schema or table.
fn is_name(name: &str) -> bool {
    is_header_safe(name) && !name.contains(['/', '\\']) && name != "." && name != ".."
}

/// Whether a key opens the project past row-level security: `sb_secret_…`, or a JWT whose role is `service_role`; or all of an
/// account's projects, as a personal access token does, `sbp_…`.
fn is_secret(key: &str) -> bool {
    // A quote inside of a claim's text would be escaped, so this is a claim of its own.
    let is_service_role =
        |claims: String| contains(&claims.split_ascii_whitespace().collect::<String>(), "\"role\":\"service_role\"");
    key.starts_with("sb_secret_") || key.starts_with("sbp_") || jwt_claims(key).is_some_and(is_service_role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};

    fn options(url: &str, key: &str) -> Options {
        Options { url: Some(url.to_owned()), api_key: Some(key.to_owned()), ..Options::default() }
    }

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", Base64UrlUnpadded::encode_string(claims.as_bytes()))
    }

    fn fault(options: Options) -> Option<String> {
        Config::new(options, false).err().and_then(|error| error.field.clone())
    }

    #[test]
    fn what_a_relay_is_not_told_is_an_option_of_a_sink() {
        let names = crate::json::names_of::<Options>();
        assert!(NOT_OF_A_RELAY.iter().all(|name| names.contains(name)), "{names:?}");
    }

    #[test]
    fn defaults_are_the_seeds() {
        let config = Config::new(options("https://x.supabase.co//", "k"), false).unwrap();
        assert_eq!(config.url, "https://x.supabase.co");
        assert_eq!((config.bucket.as_str(), config.schema.as_str()), ("imagen-generated", "imagen"));
        assert_eq!(config.retry, Policy { max_retries: 2, initial_backoff_ms: 1000, max_backoff_ms: 30_000 });
        let negative = Options { max_retries: Some(-3), ..options("http://localhost:54321", "k") };
        assert_eq!(Config::new(negative, false).unwrap().retry.max_retries, 0);
    }

    #[test]
    fn a_relay_needs_no_key_and_its_folder_is_the_users() {
        let relay = || Options { url: Some("https://x.co/".to_owned()), target: Target::Worker, ..Options::default() };
        let config = Config::new(relay(), true).unwrap();
        assert_eq!((config.url.as_str(), config.path_prefix), ("https://x.co", None));
        assert!(config.require_image && config.timeout_ms == 60_000);
        let owned = |owner: &str| Options { owner_user_id: Some(owner.to_owned()), ..relay() };
        let config = Config::new(owned("{7D6F2B8E-1111-4222-8333-444455556666}"), true).unwrap();
        let folder = config.path_prefix.as_deref();
        assert_eq!(folder, Some("7d6f2b8e-1111-4222-8333-444455556666"), "as the Worker has it of the token");
        assert_eq!(
            config.owner.unwrap().as_given,
            "{7D6F2B8E-1111-4222-8333-444455556666}",
            "an outbox of 0.1.0 is found by it"
        );
        assert_eq!(fault(owned("a/../b")).as_deref(), Some("ownerUserId"));
    }

    #[test]
    fn a_users_folder_is_their_own_where_no_other_is_given() {
        let owned = |as_user, path_prefix: Option<&str>| {
            let (owner, path_prefix) =
                ("7D6F2B8E-1111-4222-8333-444455556666".to_owned(), path_prefix.map(str::to_owned));
            let options = Options { owner_user_id: Some(owner), path_prefix, as_user, ..options("https://x.co", "k") };
            Config::new(options, false).unwrap().path_prefix
        };
        assert_eq!(owned(true, None).as_deref(), Some("7d6f2b8e-1111-4222-8333-444455556666"));
        assert_eq!((owned(true, Some("")), owned(true, Some("A/b")).as_deref()), (None, Some("A/b")));
        assert_eq!(owned(false, None), None, "the service may write everywhere");
        let table = Some("pictures".to_owned());
        let odd =
            Options { owner_user_id: Some("a/../b".to_owned()), table, as_user: true, ..options("https://x.co", "k") };
        assert_eq!(fault(odd).as_deref(), Some("ownerUserId"));
    }

    #[test]
    fn a_malformed_option_is_named() {
        for url in [
            "",
            "x.supabase.co",
            "ftp://x",
            "https://",
            "https:///x",
            "https://:80",
            "https://a b",
            "https://x?y",
            "https://x#y",
            "https://u:p@x",
            "javascript:alert(1)",
            "https://x\n",
            "https://{x}",
        ] {
            assert_eq!(fault(options(url, "k")).as_deref(), Some("url"), "{url:?}");
        }
        for key in ["", " k", "k\r\nx-evil: 1", "schlüssel"] {
            assert_eq!(fault(options("https://x", key)).as_deref(), Some("apiKey"), "{key:?}");
        }
        for bad in ["", "a/b", "..", "a\\b", " a", "a\n", "ä"] {
            let some = || Some(bad.to_owned());
            let base = || options("https://x", "k");
            assert_eq!(fault(Options { bucket: some(), ..base() }).as_deref(), Some("bucket"), "{bad:?}");
            assert_eq!(fault(Options { schema: some(), ..base() }).as_deref(), Some("schema"), "{bad:?}");
            assert_eq!(fault(Options { table: some(), ..base() }).as_deref(), Some("table"), "{bad:?}");
        }
        let prefix = Options { path_prefix: Some("../x".to_owned()), ..options("https://x", "k") };
        assert_eq!(fault(prefix).as_deref(), Some("pathPrefix"));
        for bad in ["x.supabase.co", "https://u:p@x", "https://x?y", "///"] {
            let public = Options { public_url: Some(bad.to_owned()), ..options("http://kong:8000", "k") };
            assert_eq!(fault(public).as_deref(), Some("publicUrl"), "{bad}");
        }
        let cache = Options { cache_control: Some("a\nb".to_owned()), ..options("https://x", "k") };
        assert_eq!(fault(cache).as_deref(), Some("cacheControl"));
    }

    #[test]
    fn a_secret_key_stays_out_of_the_browser() {
        for (key, secret) in [
            ("sb_secret_abc".to_owned(), true),
            (jwt(r#"{"role":"service_role"}"#), true),
            (jwt(r#"{"iss": "supabase", "role" : "service_role"}"#), true),
            (jwt(r#"{"role":"anon"}"#), false),
            (jwt(r#"{"name":"\"role\":\"service_role\""}"#), false),
            ("sbp_abc".to_owned(), true),
            ("sb_publishable_abc".to_owned(), false),
            ("a.b.c".to_owned(), false),
        ] {
            let refused = Config::new(options("https://x", &key), true).err().map(|error| error.code);
            assert_eq!(refused == Some(Code::SecretKeyInBrowser), secret, "{key}");
            assert!(Config::new(options("https://x", &key), false).is_ok());
            let allowed = Options { allow_secret_key_in_browser: true, ..options("https://x", &key) };
            assert!(Config::new(allowed, true).is_ok());
        }
    }

    #[test]
    fn the_environment_falls_back_and_switches_off() {
        let from = |pairs: &'static [(&str, &str)]| {
            let get = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Config::options_from_env(&get, &crate::json::tests::parse)
        };
        let key = |pairs| from(pairs).ok().and_then(|options| options.api_key);
        assert_eq!(
            key(&[("SUPABASE_URL", "u"), ("SUPABASE_SERVICE_KEY", "a"), ("MAI_SUPABASE_KEY", "b")]).as_deref(),
            Some("a")
        );
        assert_eq!(
            key(&[("SUPABASE_URL", "u"), ("SUPABASE_SERVICE_KEY", ""), ("MAI_SUPABASE_KEY", "b")]).as_deref(),
            Some("b")
        );
        assert_eq!(key(&[("SUPABASE_URL", "u"), ("SUPABASE_SECRET_KEY", "c")]).as_deref(), Some("c"));
        const RING: (&str, &str) = ("SUPABASE_SECRET_KEYS", r#"{"default":"e","other":"f"}"#);
        assert_eq!(key(&[("SUPABASE_URL", "u"), RING, ("SUPABASE_SERVICE_ROLE_KEY", "d")]).as_deref(), Some("d"));
        assert_eq!(key(&[("SUPABASE_URL", "u"), RING]).as_deref(), Some("e"));
        for broken in ["{", "[]", r#"{"default":""}"#, r#"{"default":7}"#, r#"{"other":"f"}"#, "null", "sb_secret_x"] {
            let get = |name: &str| match name {
                "SUPABASE_URL" => Some("u".to_owned()),
                "SUPABASE_SECRET_KEYS" => Some(broken.to_owned()),
                _ => None,
            };
            assert!(Config::options_from_env(&get, &crate::json::tests::parse).is_err(), "{broken}");
        }
        for (pairs, field, missing) in [
            (
                &[("SUPABASE_URL", "//"), ("SUPABASE_SERVICE_KEY", "a")] as &'static [_],
                "SUPABASE_URL",
                "no SUPABASE_URL",
            ),
            (&[("SUPABASE_SERVICE_KEY", "a")], "SUPABASE_URL", "no SUPABASE_URL"),
            (&[("SUPABASE_URL", "u")], "SUPABASE_SERVICE_KEY", "no key: SUPABASE_SERVICE_KEY, MAI"),
            (&[], "SUPABASE_URL", "no SUPABASE_URL, and no key: SUPABASE_SERVICE_KEY, MAI"),
        ] {
            let error = from(pairs).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::InvalidConfig, Some(field)));
            assert!(error.message.contains(missing), "{error:?}");
        }
    }

    #[test]
    fn a_services_path_is_taken_off_the_projects_url() {
        for url in [
            "https://x.co/rest/v1",
            "https://x.co/storage/v1/",
            "https://x.co/storage/v1/s3",
            "https://x.co//auth/v1//",
            "https://x.co/functions/v1",
            "https://x.co/graphql/v1",
            "https://x.co/",
        ] {
            assert_eq!(Config::new(options(url, "k"), false).unwrap().url, "https://x.co", "{url}");
        }
        for (given, wanted) in [
            (None, "http://kong:8000"),
            (Some(""), "http://kong:8000"),
            (Some("https://x.co"), "https://x.co"),
            (Some("https://x.co/db/storage/v1/"), "https://x.co/db"),
        ] {
            let public_url = given.map(str::to_owned);
            let config = Config::new(Options { public_url, ..options("http://kong:8000/", "k") }, false).unwrap();
            assert_eq!((config.url.as_str(), config.public_url.as_str()), ("http://kong:8000", wanted));
        }
        let below = Config::new(options("https://x.co/db/rest/v1", "k"), false).unwrap();
        assert_eq!(below.url, "https://x.co/db");
        let relay = Options { target: Target::Worker, ..options("https://x.co/rest/v1", "k") };
        let relay = Config::new(relay, false).unwrap();
        assert_eq!(relay.url, "https://x.co/rest/v1", "the Worker may lie anywhere");
        assert_eq!(relay.api_key, None, "and is told no key");
    }

    #[test]
    fn what_is_left_around_a_key_is_named() {
        for (key, mistake) in [("k\n", "line break"), (" k", "space"), ("Bearer k", "Bearer"), ("", "is missing")] {
            let error = Config::new(options("https://x", key), false).err().unwrap();
            assert!(error.message.starts_with("option apiKey: ") && error.message.contains(mistake), "{error:?}");
        }
    }

    #[test]
    fn a_token_is_guarded_as_the_key_is() {
        for (token, secret) in [("sb_secret_abc".to_owned(), true), (jwt(r#"{"role":"service_role"}"#), true)]
            .into_iter()
            .chain([(jwt(r#"{"role":"authenticated"}"#), false), ("opaque".to_owned(), false)])
        {
            for target in [Target::Worker, Target::Project] {
                let given = || Options { target, ..options("https://x", "sb_publishable_x") };
                let refused = |options: Options, page| Config::new(options, page).unwrap().check_token(&token).err();
                let error = refused(given(), true);
                assert_eq!(error.is_some(), secret, "{token}");
                assert!(error.is_none_or(|error| error.field.as_deref() == Some("accessToken")));
                assert!(refused(given(), false).is_none(), "a server may");
                let allowed = Options { allow_secret_key_in_browser: true, ..given() };
                assert!(refused(allowed, true).is_none());
            }
        }
    }
}
