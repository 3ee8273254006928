//! How a player's request and its response travel (snipe.md section 1, "Player requests"): as ordinary events under
//! names that are fixed, so that the proxy treats them like any other (`protocol/clients.md`, "Requests").

use super::Names;

/// The namespace of requests and responses.
pub const REQUEST_NAMESPACE: &str = "Snipe";
/// The system name of requests and responses.
pub const REQUEST_SYSTEM: &str = "Snipe";
/// The event that carries a client's request: a map with its type under [`KIND_FIELD`] and its fields.
pub const REQUEST: &str = "request";
/// The event that carries a response to a client: a map with its type under [`KIND_FIELD`] and its fields.
pub const RESPONSE: &str = "response";

/// The field with the type of a request or response: `module.method`.
pub const KIND_FIELD: &str = "_type";
/// The field with the id that a client has given its request, a text: the same id again is the same request again, and
/// the response carries it too.
pub const REQUEST_FIELD: &str = "_request";
/// The field of a response that says how it went: `ok`, or an error's word.
pub const ERROR_FIELD: &str = "errorCode";
/// The field of a response with the notifications that ride in it: a list of maps.
pub const NOTIFY_FIELD: &str = "serverNotify";

impl Names<'_> {
    /// The names of a client's request.
    pub const REQUEST: Names<'static> =
        Names { namespace: REQUEST_NAMESPACE, system: REQUEST_SYSTEM, event: REQUEST };
    /// The names of a response to a client.
    pub const RESPONSE: Names<'static> =
        Names { namespace: REQUEST_NAMESPACE, system: REQUEST_SYSTEM, event: RESPONSE };
}
