//! The link and the processors at work at the same time: a wave is computed in the pool while this thread carries another.
//!
//! No more than two waves exist at once. Both functions end with the first error; what the pool does meanwhile is dropped.

/// Computes wave after wave with `make` and passes each to `ship` on this thread, while the next one is computed.
pub(crate) fn produce<W: Send, T: Send, E: Send>(
    waves: impl Iterator<Item = W>,
    make: impl Fn(W) -> T + Sync,
    mut ship: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut ready: Option<T> = None;
    for wave in waves {
        let mut made = None;
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| made = Some(make(wave)));
            ready.take().map_or(Ok(()), &mut ship)
        })?;
        ready = made;
    }
    ready.map_or(Ok(()), ship)
}

/// Fetches wave after wave with `fetch` on this thread and gives each to `take` in the pool, while the next one is fetched.
pub(crate) fn consume<W, T: Send, E: Send>(
    waves: impl Iterator<Item = W>,
    mut fetch: impl FnMut(W) -> Result<T, E>,
    mut take: impl FnMut(T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let mut came: Option<T> = None;
    for wave in waves {
        let mut taken = Ok(());
        let fetched = rayon::in_place_scope(|scope| {
            if let Some(earlier) = came.take() {
                scope.spawn(|_| taken = take(earlier));
            }
            fetch(wave)
        });
        taken?;
        came = Some(fetched?);
    }
    came.map_or(Ok(()), take)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waves_keep_their_order_and_the_first_error_ends_them() {
        let mut shipped = Vec::new();
        let ship = |made| {
            shipped.push(made);
            Ok::<_, ()>(())
        };
        produce(0..7, |wave| wave * wave, ship).unwrap();
        assert_eq!(shipped, [0, 1, 4, 9, 16, 25, 36]);
        let mut taken = Vec::new();
        let take = |wave| {
            taken.push(wave);
            Ok::<_, ()>(())
        };
        consume(0..5, Ok, take).unwrap();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        let mut shipped = 0;
        let ship = |made: i32| {
            shipped += i32::from(made < 3);
            if made == 3 { Err("three") } else { Ok(()) }
        };
        assert_eq!(produce(0..7, |wave| wave, ship), Err("three"));
        assert_eq!(shipped, 3);
        assert_eq!(consume(0..7, |wave| if wave == 2 { Err("two") } else { Ok(wave) }, |_| Ok(())), Err("two"));
        assert_eq!(consume(0..7, Ok, |wave| if wave == 6 { Err("six") } else { Ok(()) }), Err("six"));
        assert_eq!(consume(0..0, Ok::<i32, ()>, |_| Ok(())), Ok(()));
    }
}
