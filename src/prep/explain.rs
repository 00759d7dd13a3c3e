//! What DataFusion says, told as this house tells it: exit code by cause, no cell's text.

use crate::error::{Exit, Failure};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// The failure of an error of DataFusion, about this place.
pub(super) fn failure_of(error: DataFusionError, place: &str) -> Failure {
    let text = error.strip_backtrace();
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            Failure::new(Exit::Cap, 1121, format!("the query needs more memory than it may take: {}", first_line(&text)))
                .hint("raise --max-memory, lower --threads, or give --temp a disk with more room")
        }
        DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_) => {
            Failure::new(Exit::Usage, 1120, first_line(&text))
                .hint("names with capitals or blanks stand in double quotes, texts in single ones; docs/PREP.md has examples")
        }
        DataFusionError::Configuration(_) => Failure::new(Exit::Usage, 1120, first_line(&text)),
        DataFusionError::ObjectStore(_) => Failure::new(Exit::Data, 1122, format!("a file cannot be read: {}", first_line(&text)))
            .hint("check the address, the permissions and, for S3, AWS_REGION, AWS_ENDPOINT and the keys"),
        DataFusionError::IoError(_) => Failure::new(Exit::Data, 1122, format!("a file cannot be read: {}", first_line(&text))),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::IoError(..) => Failure::new(Exit::Data, 1122, format!("a file cannot be read: {}", first_line(&text))),
            _ => unfit(&text),
        },
        DataFusionError::ParquetError(_) | DataFusionError::Execution(_) | DataFusionError::External(_) => unfit(&text),
        _ => Failure::new(Exit::Internal, 1124, format!("the query engine failed: {}", without_cells(first_line(&text).as_str()))),
    }
    .at(place)
}

/// Cells that do not fit the type that a query or the first rows of a file gave them.
fn unfit(text: &str) -> Failure {
    Failure::new(Exit::Data, 1123, format!("the data do not fit: {}", without_cells(&first_line(text))))
        .hint("TRY_CAST(column AS …) makes what does not fit NULL; --text COLUMN reads a column of CSV as text")
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(400).collect()
}

/// What stands between quotes may be a cell: it is left out.
fn without_cells(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<char> = None;
    for c in text.chars() {
        match open {
            Some(quote) if c == quote => {
                open = None;
                out.push(c);
            }
            Some(_) => {}
            None => {
                out.push(c);
                if matches!(c, '\'' | '"' | '`') {
                    open = Some(c);
                    out.push('…');
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_left_out_and_causes_have_their_codes() {
        assert_eq!(without_cells("Cannot cast string 'anna@x.de' to Int64"), "Cannot cast string '…' to Int64");
        assert_eq!(without_cells("open 'to the end"), "open '…");
        let of = |error| failure_of(error, "x");
        assert_eq!(of(DataFusionError::ResourcesExhausted("much".into())).exit, Exit::Cap);
        assert_eq!(of(DataFusionError::Plan("no such column".into())).exit, Exit::Usage);
        let cell = of(DataFusionError::ArrowError(Box::new(ArrowError::CastError("Cannot cast string 'secret'".into())), None));
        assert_eq!((cell.exit, cell.id), (Exit::Data, 1123));
        assert!(!cell.to_string().contains("secret"));
        let nested = DataFusionError::Context("while".into(), Box::new(DataFusionError::ResourcesExhausted("much".into())));
        assert_eq!(of(nested).exit, Exit::Cap);
    }
}
