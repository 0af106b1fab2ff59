//! `--write` and `--output-dir`: the result in files.

use super::ConvertArgs;
use crate::cli::Context;
use crate::error::Error;
use crate::mesh::Mesh;
use crate::render::object_diff;
use crate::report::Conversion;
use crate::report::convert::{Asked, WrittenEntry, folders};
use crate::source::tree::{self, FileChange};
use crate::translate::edit::files;
use crate::translate::{Decision, Earlier};

/// Writes what was asked to be written, and says whether something of it is left to do.
///
/// A result in which something is missing is not written: neither where an object is refused, nor
/// where the input could not be read whole.
pub(super) fn write(
    args: &ConvertArgs,
    asked: &Asked<'_>,
    (mesh, earlier): (&Mesh, &Earlier),
    decision: &Decision<'_>,
    report: &mut Conversion,
    context: &Context<'_>,
) -> Result<bool, Error> {
    if !args.write && args.output_dir.is_none() {
        return Ok(false);
    }
    if decision.refuses() {
        context.ui.note("nothing was written: something is refused");
        return Ok(true);
    }
    if !report.unread.is_empty() {
        context
            .ui
            .note("nothing was written: not everything could be read");
        return Ok(false);
    }
    if let Some(folder) = &args.output_dir {
        tree::fill(folder, &folders(decision, asked.phase))?;
        context.ui.note(&format!("written to {}", folder.display()));
        return Ok(false);
    }
    let edits = files::edits(decision, mesh, earlier, asked.phase);
    let changes = edits.files.iter().map(|file| FileChange {
        name: &file.name,
        before: file.before.as_deref(),
        after: file.after.as_deref(),
    });
    tree::change(&changes.collect::<Vec<_>>())?;
    report.written = Some(WrittenEntry::new(mesh, &edits, object_diff));
    if asked.phase.is_none() && !edits.files.is_empty() {
        context.ui.note(
            "the files hold the state when all is done; to move a running namespace by commits, write \
             one phase after the other: --phase prepare is the first",
        );
    }
    Ok(!edits.left.is_empty())
}
