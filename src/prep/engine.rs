//! One DataFusion session: memory cap with spill to disk, threads, registered stores; waits that Ctrl-C ends.

use super::explain::failure_of;
use crate::error::{Exit, Failure};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// What a query may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes that sorts, joins and groups may hold before they spill to disk; the process needs some more beside.
    pub max_memory: u64,
    /// Threads.
    pub threads: usize,
    /// Folder of spilled data; the system's temporary folder otherwise.
    pub temp: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { max_memory: 2 << 30, threads, temp: None }
    }
}

/// A session with its threads.
pub struct Engine {
    context: SessionContext,
    runtime: Runtime,
}

impl Engine {
    /// A session without tables.
    ///
    /// # Errors
    /// Exit 1, E1110: threads or the temporary folder cannot be had.
    pub fn new(limits: &Limits) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, 1110, format!("the query engine cannot start: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(limits.threads.max(1)).enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let bytes = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
        let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), NonZeroUsize::MIN.saturating_add(2));
        let mut environment = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
        if let Some(temp) = &limits.temp {
            environment = environment.with_temp_file_path(temp);
        }
        let environment = environment.build_arc().map_err(|error| failed(&error))?;
        let mut config = SessionConfig::new().with_target_partitions(limits.threads.max(1));
        let execution = &mut config.options_mut().execution;
        execution.listing_table_ignore_subdirectory = false;
        // What a sort keeps for merging what it spilled must fit several times into a small cap.
        execution.sort_spill_reservation_bytes = execution.sort_spill_reservation_bytes.min(bytes / (16 * limits.threads.max(1)));
        Ok(Self { context: SessionContext::new_with_config_rt(config, environment), runtime })
    }

    /// The session, to register tables and stores.
    #[must_use]
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Waits for work; Ctrl-C and SIGTERM drop it, with everything that it holds.
    ///
    /// # Errors
    /// The work's own, or exit 20, E2001 when interrupted.
    pub fn wait<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.runtime.block_on(async {
            let listen =
                |kind| signal(kind).map_err(|error| Failure::new(Exit::Internal, 902, format!("Ctrl-C cannot be handled: {error}")));
            let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
            let stopped = || Failure::new(Exit::Interrupted, 2001, "interrupted; nothing was written");
            tokio::select! {
                done = work => done,
                _ = interrupt.recv() => Err(stopped()),
                _ = terminate.recv() => Err(stopped()),
            }
        })
    }

    /// Plans one query. Statements that change anything are refused: a query reads, and the program writes the file.
    ///
    /// # Errors
    /// Exit 2, E1120: it does not parse, names no table or column that is there, or is no query.
    pub async fn plan(&self, sql: &str) -> Result<DataFrame, Failure> {
        let reads_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        self.context.sql_with_options(sql, reads_only).await.map_err(|error| failure_of(error, "the query"))
    }

    /// The rows of a short result.
    ///
    /// # Errors
    /// Exit 2 for the query, 13 for the data, 17 over the memory cap.
    pub async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        self.plan(sql).await?.collect().await.map_err(|error| failure_of(error, "the query"))
    }
}
