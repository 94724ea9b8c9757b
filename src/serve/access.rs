//! Access: who may ask, and who may tell.

use super::answer::ApiError;
use super::error::ServeError;
use axum::http::{HeaderMap, header};
use std::net::SocketAddr;
use std::path::Path;
use subtle::ConstantTimeEq;

/// Characters of a token.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 16..=1024;

/// Who may do what.
pub struct Access {
    token: Option<String>,
    /// Whether who only asks needs the token, too.
    asks_need_it: bool,
}

impl std::fmt::Debug for Access {
    /// Without the token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let asks_need_it = self.asks_need_it;
        formatter
            .debug_struct("Access")
            .field("asks_need_it", &asks_need_it)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Anybody on this machine may ask; beyond it those who have the token, or everybody if it is said to be public.
    ///
    /// Errors if others can reach the address and neither is given, or the token cannot be read or is too short.
    pub fn new(address: SocketAddr, token_file: Option<&Path>, is_public: bool) -> Result<Self, ServeError> {
        let token = token_file.map(read).transpose()?;
        let is_exposed = !address.ip().is_loopback();
        if is_exposed && token.is_none() && !is_public {
            return Err(ServeError::Exposed(address));
        }
        Ok(Self {
            token,
            asks_need_it: is_exposed && !is_public,
        })
    }

    /// Errors unless who sent these headers may ask.
    pub fn to_ask(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.asks_need_it {
            true => self.to_tell(headers),
            false => Ok(()),
        }
    }

    /// Errors unless who sent these headers may change what is answered.
    pub fn to_tell(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(token) = &self.token else {
            return Err(ApiError::forbidden());
        };
        let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        // The scheme's name is one in any case (RFC 9110, 11.1).
        let given = given.and_then(|value| {
            let (scheme, token) = value.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
        });
        // The time that it takes says nothing of how much of the token was right.
        let is_right = given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes())));
        match is_right {
            true => Ok(()),
            false => Err(ApiError::unauthorized()),
        }
    }
}

fn read(path: &Path) -> Result<String, ServeError> {
    let text = crate::common::regular_file::read_to_string(path).map_err(|source| ServeError::TokenFile {
        path: path.to_path_buf(),
        source,
    })?;
    let token = text.trim_end_matches(['\r', '\n']);
    let fault = match token {
        _ if !TOKEN_LENGTH.contains(&token.len()) => Some("is too short or too long"),
        _ if !token.bytes().all(|byte| byte.is_ascii_graphic()) => Some("holds a character that no header carries"),
        _ => None,
    };
    match fault {
        Some(fault) => Err(ServeError::Token {
            path: path.to_path_buf(),
            fault,
        }),
        None => Ok(token.to_string()),
    }
}
