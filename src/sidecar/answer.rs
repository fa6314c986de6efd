//! The answers to wallets: exact keys, integer millisatoshis, no invented fields.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::{domain::Refusal, service::Offer};

const TRY_AGAIN: &str = "something went wrong on our side, please try again in a minute";

/// For metrics: a request whose wallet went away before its answer.
pub const GONE: &str = "GONE";

/// An answer of the public side.
#[derive(Debug)]
pub enum Answer {
    /// LUD-03's withdrawRequest.
    Offer(Box<Offer>),
    /// `{"status":"OK"}`, exactly.
    Ok,
    /// A reason for the person who holds the phone.
    Refused(Refusal),
    /// A reason why the query is malformed.
    Error(&'static str),
    /// An error on our side. The wallet is asked to try again.
    Trouble,
    /// To OPTIONS.
    Options,
    /// No such path.
    NotFound,
}

#[derive(Serialize)]
struct WithdrawRequest<'a> {
    tag: &'static str,
    callback: &'a str,
    k1: &'a str,
    #[serde(rename = "defaultDescription")]
    default_description: &'a str,
    #[serde(rename = "minWithdrawable")]
    min_withdrawable_msat: i64,
    #[serde(rename = "maxWithdrawable")]
    max_withdrawable_msat: i64,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Answer {
    /// For metrics: one name for each kind of answer.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "OFFER",
            Self::Ok => "OK",
            Self::Refused(refusal) => refusal.name(),
            Self::Error(_) => "BAD_REQUEST",
            Self::Trouble => "TROUBLE",
            Self::Options => "OPTIONS",
            Self::NotFound => "NOT_FOUND",
        }
    }

    /// For the log: what kind of answer it was, and why.
    pub fn summary(&self) -> String {
        match self {
            Self::Offer(_) => "offer".to_owned(),
            Self::Ok => "OK".to_owned(),
            Self::Refused(refusal) => format!("ERROR: {refusal}"),
            Self::Error(reason) => format!("ERROR: {reason}"),
            Self::Trouble => format!("ERROR: {TRY_AGAIN}"),
            Self::Options => "options".to_owned(),
            Self::NotFound => "not found".to_owned(),
        }
    }

    /// LNURL errors have status 200: wallets lose the reason otherwise.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Offer(_)
            | Self::Ok
            | Self::Refused(_)
            | Self::Error(_)
            | Self::Trouble
            | Self::Options => StatusCode::OK,
        }
    }

    /// The HTTP response. A HEAD gets no body.
    pub fn into_response(self, method: &Method) -> Response<Full<Bytes>> {
        let body = self.body();
        let mut response = Response::new(Full::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // The URL is a secret: no other site may learn it from a Referer.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if matches!(self, Self::Options) {
            let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
            headers.insert(header::ALLOW, methods);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
            return response;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        if method != Method::HEAD {
            *response.body_mut() = Full::new(Bytes::from(body));
        }
        response
    }

    fn body(&self) -> String {
        match self {
            Self::Offer(offer) => json(&WithdrawRequest {
                tag: "withdrawRequest",
                callback: &offer.callback,
                k1: offer.k1.expose(),
                default_description: &offer.default_description,
                min_withdrawable_msat: offer.min.to_msat().get(),
                max_withdrawable_msat: offer.max.to_msat().get(),
            }),
            Self::Ok => json(&Status { status: "OK", reason: None }),
            Self::Refused(refusal) => error(&refusal.to_string()),
            Self::Error(reason) => error(reason),
            Self::Trouble => error(TRY_AGAIN),
            Self::NotFound => error("there is nothing here"),
            Self::Options => String::new(),
        }
    }
}

fn error(reason: &str) -> String {
    json(&Status { status: "ERROR", reason: Some(reason) })
}

fn json(value: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "texts and integers always serialise")]
    serde_json::to_string(value).expect("texts and integers serialise")
}
