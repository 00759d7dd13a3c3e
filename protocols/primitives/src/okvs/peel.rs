//! Peeling: takes off, one by one, the rows that own a column no other row uses.

/// The outcome for one bin.
pub struct Peeled {
    /// (row, its own column), in the order they were taken off.
    pub pairs: Vec<(u16, u16)>,
    /// Rows that are left: every column they use is used twice. Nearly always none.
    pub core: Vec<u16>,
}

/// Peels the rows of a bin with `columns` ≤ 2^16 sparse columns.
pub fn peel(slots: &[[u16; 3]], columns: usize) -> Peeled {
    // Of each column: how many rows use it, and the exclusive or of their numbers.
    let mut uses = vec![(0u16, 0u16); columns];
    for (row, slots) in (0u16..).zip(slots) {
        for slot in slots {
            let (count, rows) = &mut uses[usize::from(*slot)];
            *count += 1;
            *rows ^= row;
        }
    }
    let mut pairs = Vec::with_capacity(slots.len());
    // Columns used once, a stack; every push is written and only kept when the count is 1, which spares a branch.
    let mut single = vec![0u16; columns + 3];
    let mut held = 0;
    for (column, (count, _)) in (0..=u16::MAX).zip(&uses) {
        single[held] = column;
        held += usize::from(*count == 1);
    }
    while held > 0 {
        held -= 1;
        let column = single[held];
        let (count, row) = uses[usize::from(column)];
        if count != 1 {
            continue;
        }
        pairs.push((row, column));
        for slot in slots[usize::from(row)] {
            let (count, rows) = &mut uses[usize::from(slot)];
            *count -= 1;
            *rows ^= row;
            single[held] = slot;
            held += usize::from(*count == 1);
        }
    }
    let mut core = Vec::new();
    if pairs.len() < slots.len() {
        let mut left = vec![true; slots.len()];
        pairs.iter().for_each(|(row, _)| left[usize::from(*row)] = false);
        core.extend((0u16..).zip(&left).filter(|(_, left)| **left).map(|(row, _)| row));
    }
    Peeled { pairs, core }
}
