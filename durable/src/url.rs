//! Database URLs: which database, and how durable. No error shows a password.

use std::fmt;
use std::path::PathBuf;

/// A checked URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Which database.
    pub address: Address,
    /// What survives a power cut.
    pub sync: Sync,
    /// The schema of PostgreSQL in which the tables are.
    pub schema: Option<String>,
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// SQLite in the memory of this process.
    SqliteMemory,
    /// SQLite in a file.
    SqliteFile(PathBuf),
    /// PostgreSQL, with the URL for its driver.
    Postgres(String),
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqliteMemory => out.write_str("SqliteMemory"),
            Self::SqliteFile(path) => write!(out, "SqliteFile({})", path.display()),
            Self::Postgres(url) => write!(out, "Postgres({})", masked(url)),
        }
    }
}

/// What survives a power cut. Either way all survives the end of any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Everything that was committed.
    #[default]
    Full,
    /// Everything but the last moments.
    Normal,
}

/// A URL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is empty.
    #[error(
        "the database URL is empty: write sqlite:///path, sqlite://:memory: or postgresql://host/database"
    )]
    Empty,
    /// It begins with an unknown scheme.
    #[error(
        "invalid database URL '{url}': '{scheme}' is no known scheme; write sqlite:// or postgresql://"
    )]
    Scheme {
        /// The URL, without its password.
        url: String,
        /// The scheme.
        scheme: String,
    },
    /// It names no database.
    #[error("invalid database URL '{url}': {reason}")]
    Address {
        /// The URL, without its password.
        url: String,
        /// What is missing.
        reason: &'static str,
    },
    /// It has an unknown parameter.
    #[error("invalid database URL '{url}': there is no parameter '{name}'; there are {known}")]
    Parameter {
        /// The URL, without its password.
        url: String,
        /// Name of the parameter.
        name: String,
        /// The known ones.
        known: &'static str,
    },
    /// A parameter has an unknown value.
    #[error("invalid database URL '{url}': {name} is {known}, not '{value}'")]
    ParameterValue {
        /// The URL, without its password.
        url: String,
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// The known ones.
        known: &'static str,
    },
}

/// The URL without its password.
#[must_use]
pub fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password may hold an unescaped slash or question mark: everything up to the last @ counts.
    let end = rest.rfind('@').map_or(end, |at| at.max(end));
    let (authority, path) = rest.split_at(end.min(rest.len()));
    let (authority, path) = match path.strip_prefix('@') {
        Some(host) => (authority, format!("@{host}")),
        None => (authority, path.to_owned()),
    };
    let hidden = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{login}@{host}"),
        },
        None => match (path.starts_with('@'), authority.split_once(':')) {
            (true, Some((user, _))) => format!("{user}:***"),
            _ => authority.to_owned(),
        },
    };
    let path = hide_parameter(&path);
    if scheme.is_empty() { format!("{hidden}{path}") } else { format!("{scheme}://{hidden}{path}") }
}

fn hide_parameter(path: &str) -> String {
    let Some((before, parameters)) = path.split_once('?') else { return path.to_owned() };
    let shown = parameters.split('&').map(|part| match part.split_once('=') {
        Some(("password" | "sslpassword", _)) => "password=***".to_owned(),
        _ => part.to_owned(),
    });
    format!("{before}?{}", shown.collect::<Vec<_>>().join("&"))
}

impl Url {
    /// Checks a URL: `sqlite://:memory:`, `sqlite:///path`, `postgresql://...`, or the path of a
    /// SQLite file.
    ///
    /// # Errors
    /// [`UrlError`] with the URL, without its password.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.trim().is_empty() {
            return Err(UrlError::Empty);
        }
        match text.split_once("://") {
            Some(("sqlite", rest)) => Self::sqlite(text, rest),
            Some(("postgresql" | "postgres", rest)) => Self::postgres(text, rest),
            Some((scheme, _)) => {
                let (url, scheme) = (masked(text), scheme.to_owned());
                Err(UrlError::Scheme { url, scheme })
            }
            None if text == ":memory:" => Ok(Self::of(Address::SqliteMemory)),
            None => Self::sqlite(text, text),
        }
    }

    fn of(address: Address) -> Self {
        Self { address, sync: Sync::default(), schema: None }
    }

    fn sqlite(text: &str, rest: &str) -> Result<Self, UrlError> {
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let address = match path {
            ":memory:" | "/:memory:" => Address::SqliteMemory,
            "" | "/" => {
                let reason = "it names no file; write sqlite:///path or sqlite://:memory:";
                return Err(UrlError::Address { url: masked(text), reason });
            }
            path => Address::SqliteFile(PathBuf::from(sqlite_path(text, path))),
        };
        let mut url = Self::of(address);
        for (name, value) in pairs(parameters) {
            match name {
                "sync" => url.sync = sync(text, value)?,
                name => return Err(unknown(text, name, "sync")),
            }
        }
        Ok(url)
    }

    fn postgres(text: &str, rest: &str) -> Result<Self, UrlError> {
        // A password may hold a question mark.
        let login = rest.rfind('@').unwrap_or(0);
        let end = rest[login..].find('?').map_or(rest.len(), |at| login + at);
        let (address, parameters) = (&rest[..end], rest[end..].trim_start_matches('?'));
        let database = address.rsplit('@').next().unwrap_or_default();
        if database.is_empty() {
            let reason = "it names no host; write postgresql://host/database";
            return Err(UrlError::Address { url: masked(text), reason });
        }
        let mut url = Self::of(Address::Postgres(String::new()));
        let mut kept = Vec::new();
        for (name, value) in pairs(parameters) {
            match name {
                "sync" => url.sync = sync(text, value)?,
                "schema" if is_plain(value) => url.schema = Some(value.to_owned()),
                "schema" => {
                    let (name, known) = ("schema", "a name of letters, digits and _");
                    let (url, value) = (masked(text), value.to_owned());
                    return Err(UrlError::ParameterValue { url, name, value, known });
                }
                "host" | "port" | "user" | "password" | "dbname" | "connect_timeout"
                | "application_name" | "options" => kept.push(format!("{name}={value}")),
                name => {
                    let known = "sync, schema, host, port, user, password, dbname, \
                                 connect_timeout, application_name, options";
                    return Err(unknown(text, name, known));
                }
            }
        }
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        url.address = Address::Postgres(format!("postgresql://{address}{query}"));
        Ok(url)
    }
}

/// The path of `sqlite:///relative.db` and `sqlite:////absolute.db`, as SQLAlchemy has them.
fn sqlite_path<'a>(text: &str, path: &'a str) -> &'a str {
    if text.starts_with("sqlite:///") { &path[1..] } else { path }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn pairs(parameters: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = parameters.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn sync(text: &str, value: &str) -> Result<Sync, UrlError> {
    match value {
        "full" => Ok(Sync::Full),
        "normal" => Ok(Sync::Normal),
        value => Err(UrlError::ParameterValue {
            url: masked(text),
            name: "sync",
            value: value.to_owned(),
            known: "full or normal",
        }),
    }
}

fn unknown(text: &str, name: &str, known: &'static str) -> UrlError {
    UrlError::Parameter { url: masked(text), name: name.to_owned(), known }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        match Url::parse(text).unwrap().address {
            Address::SqliteFile(path) => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_forms_of_the_document_are_understood() {
        // spec: CLO-22
        assert_eq!(file("sqlite:///path/to/x.db"), PathBuf::from("path/to/x.db"));
        assert_eq!(file("sqlite:////tmp/x.db"), PathBuf::from("/tmp/x.db"));
        assert_eq!(file("sqlite://x.db"), PathBuf::from("x.db"));
        assert_eq!(file("some/x.db"), PathBuf::from("some/x.db"));
        for memory in ["sqlite://:memory:", "sqlite:///:memory:", ":memory:"] {
            assert_eq!(Url::parse(memory).unwrap().address, Address::SqliteMemory);
        }
        let url = Url::parse("postgresql://u:p@h:5/d?sync=normal&schema=a_1&port=7").unwrap();
        assert_eq!(url.address, Address::Postgres("postgresql://u:p@h:5/d?port=7".to_owned()));
        assert_eq!((url.sync, url.schema.as_deref()), (Sync::Normal, Some("a_1")));
        assert_eq!(Url::parse("x.db?sync=normal").unwrap().sync, Sync::Normal);
    }

    #[test]
    fn all_else_is_refused_and_no_password_is_shown() {
        // spec: CLO-22
        for text in [
            "",
            "mysql://u:secret@h/d",
            "sqlite://",
            "sqlite:///x.db?mode=rwc",
            "sqlite:///x.db?sync=off",
            "postgresql://u:secret@h/d?schema=a;b",
            "postgresql://u:secret@h/d?ssl=secretly&no=1",
            "postgresql://u:se/cr?et@h/d?x=1",
            "postgresql://u:secret@",
            "postgresql://h/d?password=secret&x=1",
        ] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret@") && !error.contains("=secret&"), "{error}");
            assert!(!error.contains("et@"), "{error}");
        }
        assert_eq!(masked("postgresql://u:secret@h/d"), "postgresql://u:***@h/d");
        assert_eq!(masked("postgresql://u@h/d"), "postgresql://u@h/d");
        let url = Url::parse("postgresql://u:secret@h/d").unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }
}
