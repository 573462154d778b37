//! Behaviour of the ADOT collector that adot mode reproduces and corrected mode does not.
//!
//! Each predicate is true in adot mode. Sources are files of collector-contrib v0.156.0 in
//! `exporter/awsxrayexporter/internal/translator`.

use crate::translate::Compat;

/// Ids, times and names.
impl Compat {
    const fn is_adot(self) -> bool {
        matches!(self, Compat::Adot)
    }

    /// Accepts trace and span ids that are missing or all zero (`segment.go`).
    pub(super) const fn accepts_zero_ids(self) -> bool {
        self.is_adot()
    }

    /// Writes a start or an end time of 0, and an end before the start (`segment.go`).
    pub(super) const fn writes_invalid_times(self) -> bool {
        self.is_adot()
    }

    /// Uses names from attributes without removing the characters that X-Ray rejects (`segment.go`, `MakeSegment`).
    pub(super) const fn keeps_invalid_names(self) -> bool {
        self.is_adot()
    }

    /// Cuts span names after 200 bytes instead of 200 characters, also within a character (`segment.go`,
    /// `fixSegmentName`).
    pub(super) const fn cuts_names_at_bytes(self) -> bool {
        self.is_adot()
    }

    /// Keeps span names of only white space (`segment.go`, `fixSegmentName`).
    pub(super) const fn keeps_blank_names(self) -> bool {
        self.is_adot()
    }

    /// Uses the service names in the attributes of a local root even if they are empty, and then writes no name
    /// (`segment.go`).
    pub(super) const fn accepts_empty_names(self) -> bool {
        self.is_adot()
    }

    /// Names every kind of span after its peer, also servers, consumers and internal spans, and AWS SDK calls after
    /// their database. Does not name consumers after their service (`segment.go`, `MakeSegment`).
    pub(super) const fn names_every_kind_by_peer(self) -> bool {
        self.is_adot()
    }
}

/// Attributes.
impl Compat {
    /// Does not read these attributes of the stable semantic conventions: `db.system.name`, `db.namespace`,
    /// `db.query.text` (`sql.go`, `segment.go`), `rpc.system.name`, the service in `rpc.method`, `service.peer.name`,
    /// `cloud.region`, `aws.auth.region`, `aws.request.id`, `aws.sqs.queue.url` (`aws.go`, `segment.go`), and `server.address` and
    /// `server.port` of clients (`http.go`, `segment.go`).
    pub(super) const fn ignores_stable_conventions(self) -> bool {
        self.is_adot()
    }

    /// Removes the attributes that a block can read from metadata, even if their values were not written to the block
    /// (`aws.go`, `cause.go`, `http.go`, `sql.go`).
    pub(super) const fn consumes_unused_keys(self) -> bool {
        self.is_adot()
    }

    /// Removes `enduser.id` from metadata even if it is not a string, and does not limit its length (`segment.go`,
    /// `makeXRayAttributes`).
    pub(super) const fn writes_user_unchecked(self) -> bool {
        self.is_adot()
    }

    /// Removes indexed attributes from metadata even if they cannot be annotations (`segment.go`,
    /// `makeXRayAttributes`).
    pub(super) const fn discards_unwritable_annotations(self) -> bool {
        self.is_adot()
    }

    /// Does not limit the length of annotation keys and values (`segment.go`, `makeXRayAttributes`).
    pub(super) const fn ignores_annotation_limits(self) -> bool {
        self.is_adot()
    }

    /// Writes metadata namespaces that are empty on a service segment (`segment.go`).
    pub(super) const fn writes_empty_namespaces(self) -> bool {
        self.is_adot()
    }

    /// Omits the span fields that X-Ray has no field for, such as events and the instrumentation scope (`segment.go`).
    pub(super) const fn omits_unmapped_fields(self) -> bool {
        self.is_adot()
    }
}

/// The `aws`, `http` and `sql` blocks, and the failure flags.
impl Compat {
    /// Omits the account id on service segments (`segment.go`).
    pub(super) const fn omits_service_account(self) -> bool {
        self.is_adot()
    }

    /// Writes every `host.id` as the ID of an EC2 instance (`aws.go`).
    pub(super) const fn takes_hosts_for_instances(self) -> bool {
        self.is_adot()
    }

    /// Writes `rpc.method` as the AWS operation of every call (`aws.go`).
    pub(super) const fn has_operation_of_every_call(self) -> bool {
        self.is_adot()
    }

    /// Treats spans with a local port or a scheme, but nothing else of HTTP, as HTTP spans (`http.go`).
    pub(super) const fn takes_connections_for_http(self) -> bool {
        self.is_adot()
    }

    /// Writes `x_forwarded_for` only if the address of the peer is unknown (`http.go`).
    pub(super) const fn forwards_only_without_peer(self) -> bool {
        self.is_adot()
    }

    /// Derives the failure flags from the HTTP status and the span status, not from the gRPC status (`cause.go`).
    pub(super) const fn ignores_grpc_status(self) -> bool {
        self.is_adot()
    }

    /// Writes failure and instrumentation flags that are false and a response size of 0, which mean the same as missing fields
    /// (`segment.go`, `aws.go`, `http.go`).
    pub(super) const fn writes_defaults(self) -> bool {
        self.is_adot()
    }

    /// Reads an HTTP status only from integers, and 0 from other types (`cause.go`, `http.go`).
    pub(super) const fn reads_only_integer_status(self) -> bool {
        self.is_adot()
    }

    /// Writes the peer address as the address of the client, even if the span is the client (`http.go`).
    pub(super) const fn takes_peer_for_client(self) -> bool {
        self.is_adot()
    }

    /// Reads the response size only from RPC message events (`http.go`).
    pub(super) const fn ignores_response_size(self) -> bool {
        self.is_adot()
    }

    /// Builds URLs from the first attribute that is present, even if it is empty (`http.go`).
    pub(super) const fn uses_empty_url_parts(self) -> bool {
        self.is_adot()
    }

    /// Joins the parts of URLs without reading them: a port follows a host that has one, a URL becomes a host, IPv6
    /// addresses have no brackets, and the scheme is `http` unless stated (`http.go`, `constructServerURL`).
    pub(super) const fn joins_url_parts_unread(self) -> bool {
        self.is_adot()
    }

    /// Writes the `sql` block for fewer database systems (`sql.go`, `isSQL`).
    pub(super) const fn knows_fewer_databases(self) -> bool {
        self.is_adot()
    }

    /// Writes connection strings with their passwords, and appends the database name even if the string contains it
    /// (`sql.go`).
    pub(super) const fn keeps_connection_strings(self) -> bool {
        self.is_adot()
    }
}

/// Stack traces, all from `cause.go`.
impl Compat {
    /// Knows JavaScript only as `javascript`, while the SDKs report `nodejs` and `webjs` (collector-contrib issue
    /// 45356), and does not support Rust and Ruby.
    pub(super) const fn knows_fewer_languages(self) -> bool {
        self.is_adot()
    }

    /// Ignores inner exceptions of .NET, so that their frames become frames of the outer exception.
    pub(super) const fn ignores_inner_exceptions(self) -> bool {
        self.is_adot()
    }

    /// Gives a Go call without a location the location of the previous call, and does not trim labels.
    pub(super) const fn repeats_go_locations(self) -> bool {
        self.is_adot()
    }

    /// Cuts Java labels after their first slash, also within the name of a hidden class.
    pub(super) const fn cuts_java_labels(self) -> bool {
        self.is_adot()
    }

    /// Joins the lines of a Java exception message without a line break, includes `... 3 more` in the message, and does
    /// not recognize suppressed exceptions.
    pub(super) const fn joins_java_messages(self) -> bool {
        self.is_adot()
    }

    /// Reads only V8 stack traces, and splits a JavaScript location at its first two colons.
    pub(super) const fn splits_javascript_at_first_colons(self) -> bool {
        self.is_adot()
    }

    /// Reads Python tracebacks from the last line up, with one of the two kinds of exception chains.
    pub(super) const fn reads_python_upwards(self) -> bool {
        self.is_adot()
    }
}
