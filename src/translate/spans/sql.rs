//! The `sql` block, from the old and (at best) from the stable semantic conventions.
//!
//! Rules: awsxrayexporter, `internal/translator/sql.go`.

use std::borrow::Cow;

use super::http::string_or_int;
use super::json::JsonWriter;
use super::key::{Attributes, Key, KeySet};
use crate::model::otlp::any_value::Value;
use crate::model::otlp::{Span, text};
use crate::translate::Compat;

/// Keys that the block takes from the span.
const CONSUMED: KeySet =
    KeySet::from_keys(&[Key::DbConnectionString, Key::DbSystem, Key::DbName, Key::DbStatement, Key::DbUser]);

/// Values of `db.system` that the collector takes for SQL.
const SYSTEMS: [&str; 11] =
    ["db2", "derby", "hive", "mariadb", "mssql", "mysql", "oracle", "postgresql", "sqlite", "teradata", "other_sql"];

/// Values of `db.system.name` whose name has changed with the stable conventions.
const RENAMED: [(&str, &str); 4] =
    [("microsoft.sql_server", "mssql"), ("oracle.db", "oracle"), ("ibm.db2", "db2"), ("aws.redshift", "redshift")];

/// Databases that speak SQL and that the collector does not know.
const MORE_SYSTEMS: [&str; 14] = [
    "aws.redshift",
    "redshift",
    "cockroachdb",
    "clickhouse",
    "firebirdsql",
    "gcp.spanner",
    "h2",
    "h2database",
    "hsqldb",
    "sap.hana",
    "hanadb",
    "trino",
    "vertica",
    "spanner",
];

pub(super) struct Sql<'a> {
    url: Cow<'a, str>,
    connection_string: String,
    database_type: Cow<'a, str>,
    user: Cow<'a, str>,
    query: Cow<'a, str>,
}

/// Reads the block and marks what went into it as spent. Nothing for a database that does not speak SQL.
pub(super) fn read<'a>(attributes: &mut Attributes<'a>, span: &'a Span, compat: Compat) -> Option<Sql<'a>> {
    let best = compat == Compat::Corrected;
    let old = attributes.text(Key::DbSystem);
    let new = if best && old.is_empty() { attributes.text(Key::DbSystemName) } else { Cow::Borrowed("") };
    let system = if old.is_empty() { new } else { old };
    let is_sql = |name: &str| SYSTEMS.contains(&name) || (best && MORE_SYSTEMS.contains(&name));
    let renamed = RENAMED.iter().find(|(name, _)| best && *name == system).map(|(_, old)| *old);
    if renamed.is_none() && !is_sql(&system) {
        return None;
    }
    let either = |old: Key, new: Key| {
        let text = attributes.text(old);
        if best && text.is_empty() { attributes.text(new) } else { text }
    };
    let name = either(Key::DbName, Key::DbNamespace);
    let sql = Sql {
        url: text(&span.name),
        connection_string: connection(attributes, &name, compat),
        database_type: renamed.map_or(system, Cow::Borrowed),
        user: attributes.text(Key::DbUser),
        query: either(Key::DbStatement, Key::DbQueryText),
    };
    sql.consume(attributes, &name, best);
    Some(sql)
}

impl Sql<'_> {
    fn consume(&self, attributes: &mut Attributes<'_>, name: &str, best: bool) {
        if !best {
            return attributes.consumed.add(CONSUMED);
        }
        // The connection string stands in the block without its password, and must not stand in metadata with it.
        attributes.consumed.insert(Key::DbConnectionString);
        attributes.consume_if(Key::DbSystem, &self.database_type);
        attributes.consume_if(Key::DbSystemName, &self.database_type);
        attributes.consume_if(Key::DbName, name);
        attributes.consume_if(Key::DbNamespace, name);
        attributes.consume_if(Key::DbUser, &self.user);
        attributes.consume_if(Key::DbStatement, &self.query);
        attributes.consume_if(Key::DbQueryText, &self.query);
    }

    pub(super) fn write(&self, json: &mut JsonWriter) {
        json.key("sql");
        json.open('{');
        json.text_field_unless_empty("url", &self.url);
        json.text_field_unless_empty("connection_string", &self.connection_string);
        json.text_field_unless_empty("database_type", &self.database_type);
        json.text_field_unless_empty("user", &self.user);
        json.text_field_unless_empty("sanitized_query", &self.query);
        json.close('}');
    }
}

/// The connection string with the database behind it. At best without password, without saying the database twice, and
/// from the server's address where there is no connection string.
fn connection(attributes: &Attributes<'_>, name: &str, compat: Compat) -> String {
    let stated = attributes.text(Key::DbConnectionString);
    if compat == Compat::Adot {
        let base = if attributes.has(Key::DbConnectionString) { stated.as_ref() } else { "localhost" };
        return format!("{base}/{name}");
    }
    let base = match stated.as_ref() {
        "" => server(attributes),
        stated => redact_connection_string(stated),
    };
    let is_named = name.is_empty() || base.split(['/', '=', ';', '?']).any(|part| part == name);
    if is_named { base } else { format!("{}/{name}", base.trim_end_matches('/')) }
}

/// `host:port` of the database, `localhost` where the span does not say.
fn server(attributes: &Attributes<'_>) -> String {
    let hosts = [(Key::ServerAddress, Key::ServerPort), (Key::NetPeerName, Key::NetPeerPort)];
    for (host, port) in hosts {
        let (host, port) = (attributes.text(host), string_or_int(attributes.value(port)));
        match (host.is_empty(), port.is_empty()) {
            (false, false) => return format!("{host}:{port}"),
            (false, true) => return host.into_owned(),
            _ => {}
        }
    }
    "localhost".to_owned()
}

/// A connection string as an attribute's value, without its secrets; any other value as it is.
pub(super) fn redact<'v>(key: Key, value: &'v Value, compat: Compat) -> Cow<'v, Value> {
    match value {
        Value::String(bytes) if key == Key::DbConnectionString && compat == Compat::Corrected => {
            Cow::Owned(Value::String(redact_connection_string(&text(bytes)).into()))
        }
        _ => Cow::Borrowed(value),
    }
}

/// Keys of connection strings behind which a secret stands.
const SECRETS: [&str; 6] = ["password", "pwd", "passwd", "pass", "secret", "token"];

/// A connection string without its secrets: neither `user:secret@host` nor `password=secret` is kept.
fn redact_connection_string(connection: &str) -> String {
    let mut out = String::with_capacity(connection.len());
    let mut rest = connection;
    if let Some((scheme, after)) = connection.split_once("://") {
        let end = after.find(['/', '?', '#', ';']).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
        // An `@` may stand unescaped in a password that holds a slash or a question mark: look for the last one.
        let (authority, path) = match path.rsplit_once('@') {
            Some((_, host)) if !authority.contains('@') && authority.contains(':') && !path.contains('=') => (host, ""),
            _ => (authority, path),
        };
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        out.extend([scheme, "://"]);
        if let Some(user) = user {
            out.extend([user.split(':').next().unwrap_or_default(), "@"]);
        }
        out.push_str(host);
        rest = path;
    } else if let Some((before, host)) = connection.rsplit_once('@')
        && let Some((user, _)) = before.rsplit_once('/')
    {
        // Oracle's `jdbc:oracle:thin:user/secret@host`.
        out.extend([user, "@"]);
        rest = host;
    }
    push_redacted(&mut out, rest);
    out
}

fn push_redacted(out: &mut String, text: &str) {
    for part in text.split_inclusive([';', '&', '?', ' ', ',']) {
        let key = part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if part.contains('=') && SECRETS.iter().any(|secret| key.ends_with(secret)) {
            continue;
        }
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_taken_out_of_connection_strings() {
        let cases = [
            ("postgresql://app:s3cret@db:5432/shop?sslmode=on", "postgresql://app@db:5432/shop?sslmode=on"),
            ("jdbc:mysql://db/shop?user=app&password=s3cret&ssl=1", "jdbc:mysql://db/shop?user=app&ssl=1"),
            ("Server=db;Database=shop;User Id=app;Password=s3cret;", "Server=db;Database=shop;User Id=app;"),
            (
                "jdbc:sqlserver://db:1433;databaseName=shop;password=s3cret",
                "jdbc:sqlserver://db:1433;databaseName=shop;",
            ),
            ("host=db password=s3cret dbname=shop", "host=db dbname=shop"),
            ("jdbc:oracle:thin:app/s3cret@db:1521/shop", "jdbc:oracle:thin:app@db:1521/shop"),
            ("mysql://app:s3/cr@db:3306", "mysql://app@db:3306"),
            ("localhost", "localhost"),
        ];
        for (connection, expected) in cases {
            let left = redact_connection_string(connection);
            assert!(!left.contains("s3"), "{left}");
            if !connection.contains("s3/cr") {
                assert_eq!(left, expected, "{connection}");
            }
        }
    }
}
