//! The `sql` block, from the old and, in corrected mode, from the stable semantic conventions.
//!
//! Rules: awsxrayexporter, `internal/translator/sql.go`.

use std::borrow::Cow;

use super::key::{Attributes, Key, KeySet};
use super::segment::Sql;
use super::value;
use crate::model::otlp::borrowed::Value;
use crate::model::otlp::borrowed::{Span, text};
use crate::translate::Compat;

/// Keys that the block can take from the span.
const CONSUMED: KeySet =
    KeySet::from_keys(&[Key::DbConnectionString, Key::DbSystem, Key::DbName, Key::DbStatement, Key::DbUser]);

/// Values of `db.system` for which the collector writes the block.
const SYSTEMS: [&str; 11] =
    ["db2", "derby", "hive", "mariadb", "mssql", "mysql", "oracle", "postgresql", "sqlite", "teradata", "other_sql"];

/// Values of `db.system.name` that the stable conventions renamed, and the names that X-Ray receives.
const RENAMED: [(&str, &str); 4] =
    [("microsoft.sql_server", "mssql"), ("oracle.db", "oracle"), ("ibm.db2", "db2"), ("aws.redshift", "redshift")];

/// Further SQL databases, which the collector does not recognize.
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

/// Reads the block, and marks the attributes in it as consumed. Returns `None` if the database is not an SQL database.
pub(super) fn read<'a>(attributes: &mut Attributes<'a>, span: &'a Span<'a>, compat: Compat) -> Option<Sql<'a>> {
    let either = |old: Key, stable: Key| {
        let text = attributes.text(old);
        if text.is_empty() && !compat.ignores_stable_conventions() { attributes.text(stable) } else { text }
    };
    let system = either(Key::DbSystem, Key::DbSystemName);
    let knows_more = !compat.knows_fewer_databases();
    let is_sql = |name: &str| SYSTEMS.contains(&name) || (knows_more && MORE_SYSTEMS.contains(&name));
    let renamed = RENAMED.iter().find(|(name, _)| knows_more && *name == system).map(|(_, old)| *old);
    if renamed.is_none() && !is_sql(&system) {
        return None;
    }
    let name = database(attributes, compat);
    let sql = Sql {
        url: text(span.name),
        connection_string: connection(attributes, &name, compat),
        database_type: renamed.map_or(system, Cow::Borrowed),
        user: attributes.text(Key::DbUser),
        sanitized_query: either(Key::DbStatement, Key::DbQueryText),
    };
    sql.consume(attributes, &name, compat);
    Some(sql)
}

/// Returns the name of the database. A namespace of the stable conventions also has the instance of an SQL Server, as
/// `instance|database`, or the schema of PostgreSQL, as `database|schema`.
pub(super) fn database<'a>(attributes: &Attributes<'a>, compat: Compat) -> Cow<'a, str> {
    let name = attributes.text(Key::DbName);
    if !name.is_empty() || compat.ignores_stable_conventions() {
        return name;
    }
    let part = |namespace: &'a str| match namespace.split_once('|') {
        Some((_, database)) if attributes.bytes(Key::DbSystemName) == b"microsoft.sql_server" => database,
        Some((database, _)) => database,
        None => namespace,
    };
    match attributes.text(Key::DbNamespace) {
        Cow::Borrowed(namespace) => Cow::Borrowed(part(namespace)),
        namespace => namespace,
    }
}

impl Sql<'_> {
    fn consume(&self, attributes: &mut Attributes<'_>, name: &str, compat: Compat) {
        if compat.consumes_unused_keys() {
            return attributes.consumed.add(CONSUMED);
        }
        // The block has the connection string without its password. Metadata would contain the password.
        attributes.consumed.insert(Key::DbConnectionString);
        attributes.consume_if(Key::DbSystem, &self.database_type);
        attributes.consume_if(Key::DbSystemName, &self.database_type);
        attributes.consume_if(Key::DbName, name);
        attributes.consume_if(Key::DbNamespace, name);
        attributes.consume_if(Key::DbUser, &self.user);
        attributes.consume_if(Key::DbStatement, &self.sanitized_query);
        attributes.consume_if(Key::DbQueryText, &self.sanitized_query);
    }
}

/// Returns the connection string, followed by the database name. In corrected mode, the string has no password, the
/// name is only appended if the string does not contain it, and the server address replaces a missing string.
fn connection(attributes: &Attributes<'_>, name: &str, compat: Compat) -> String {
    let original = attributes.text(Key::DbConnectionString);
    if compat.keeps_connection_strings() {
        let base = if attributes.has(Key::DbConnectionString) { original.as_ref() } else { "localhost" };
        return format!("{base}/{name}");
    }
    let base = match original.as_ref() {
        "" => server(attributes),
        original => redact_connection_string(original),
    };
    let has_name = name.is_empty() || base.split(['/', '=', ';', '?']).any(|part| part == name);
    if has_name { base } else { format!("{}/{name}", base.trim_end_matches('/')) }
}

/// Returns the `host:port` of the database, or `localhost` if it is unknown.
fn server(attributes: &Attributes<'_>) -> String {
    let hosts = [(Key::ServerAddress, Key::ServerPort), (Key::NetPeerName, Key::NetPeerPort)];
    for (host, port) in hosts {
        let (host, port) = (attributes.text(host), value::string_or_int(attributes.value(port)));
        match (host.is_empty(), port.is_empty()) {
            (false, false) => return format!("{host}:{port}"),
            (false, true) => return host.into_owned(),
            _ => {}
        }
    }
    "localhost".to_owned()
}

/// Returns the value of a connection string attribute without its secrets, and `None` for other attributes.
pub(super) fn redact(key: Key, value: &Value<'_>, compat: Compat) -> Option<String> {
    match value {
        Value::String(bytes) if key == Key::DbConnectionString && !compat.keeps_connection_strings() => {
            Some(redact_connection_string(&text(bytes)))
        }
        _ => None,
    }
}

/// Ends of the keys of secrets in connection strings.
const SECRETS: [&str; 6] = ["password", "pwd", "passwd", "pass", "secret", "token"];

/// Removes the secrets of a connection string, both in `user:secret@host` and in `password=secret`.
fn redact_connection_string(connection: &str) -> String {
    let mut out = String::with_capacity(connection.len());
    let mut rest = connection;
    if let Some((scheme, after)) = connection.split_once("://") {
        let end = after.find(['/', '?', '#', ';']).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
        // A password with a slash or a question mark can contain an unescaped `@`: use the last one.
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
        // The format of Oracle: `jdbc:oracle:thin:user/secret@host`.
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
    fn connection_strings_lose_their_passwords() {
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
            let redacted = redact_connection_string(connection);
            assert!(!redacted.contains("s3"), "{redacted}");
            if !connection.contains("s3/cr") {
                assert_eq!(redacted, expected, "{connection}");
            }
        }
    }
}
