//! Large contents in a table. Workers' threads write and read them over a connection of their own.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::{connect, new_runtime};
use crate::store::{Access, StoreError};
use crate::url::Url;
use crate::value::{BlobError, Blobs, Pins, checked};

/// The contents of one schema.
#[derive(Debug)]
pub(super) struct PostgresBlobs {
    url: Url,
    /// Connected when it is first needed.
    link: Mutex<(Runtime, Option<Client>)>,
    pins: Pins,
}

impl PostgresBlobs {
    pub(super) fn new(url: Url) -> Result<Self, StoreError> {
        Ok(Self { url, link: Mutex::new((new_runtime()?, None)), pins: Pins::default() })
    }

    fn with<R>(
        &self,
        act: impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R, StoreError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let (runtime, client) = &mut *link;
        runtime.block_on(async {
            if let Some(client) = client.as_ref() {
                let done = act(client).await;
                // A connection that has ended meanwhile says so only now.
                if !client.is_closed() {
                    return Ok(done?);
                }
            }
            let client = client.insert(connect(&self.url, Access::Look).await?);
            Ok(act(client).await?)
        })
    }
}

impl Blobs for PostgresBlobs {
    fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError> {
        let query = "INSERT INTO content VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let put = self
            .with(async |client| client.execute(query, &[&digest, &&**content]).await.map(drop));
        put.map_err(|error| broken(digest, "written", &error))
    }

    fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
        let query = "SELECT content FROM content WHERE digest = $1";
        let found = self.with(async |client| client.query_opt(query, &[&digest]).await);
        match found {
            Ok(Some(row)) => {
                checked(digest, row.get::<_, Vec<u8>>(0).into(), "its row in the table content")
            }
            Ok(None) => Err(failed(digest, "read", "it is not there")),
            Err(error) => Err(broken(digest, "read", &error)),
        }
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }
}

fn broken(digest: &str, action: &'static str, error: &StoreError) -> BlobError {
    let may_pass = match error {
        // Classes of errors: of the connection, of resources such as the disk, of the operator.
        StoreError::Postgres(error) => error.as_db_error().is_none_or(|error| {
            ["08", "53", "57"].iter().any(|class| error.code().code().starts_with(class))
        }),
        error => !error.is_final(),
    };
    BlobError { may_pass, ..failed(digest, action, &error.to_string()) }
}

fn failed(digest: &str, action: &'static str, reason: &str) -> BlobError {
    BlobError { digest: digest.to_owned(), action, reason: reason.to_owned(), may_pass: false }
}
