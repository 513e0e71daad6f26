//! Strokes on many grids, undo and redo, fills, the journal and saved files.
