//! Sets of channels that can be removed together, for float graphs and integer programs alike.

/// Something of every channel of every value or tensor.
pub(crate) type PerChannel<T> = Vec<Vec<T>>;

/// The largest set of channels that can go together: starts with `free` and takes back what `constrain` takes back,
/// until nothing changes. A tensor keeps at least one channel.
pub(crate) fn largest(
    mut free: PerChannel<bool>,
    mut constrain: impl FnMut(&mut PerChannel<bool>),
) -> PerChannel<bool> {
    loop {
        let before = count(&free);
        constrain(&mut free);
        if count(&free) < before {
            continue;
        }
        // Looked at only now, when all others have had their say.
        match free.iter_mut().find(|channels| channels.iter().all(|&f| f)) {
            Some(channels) => channels[0] = false,
            None => return free,
        }
    }
}

/// How many channels go.
pub(crate) fn count(free: &PerChannel<bool>) -> usize {
    free.iter().flatten().filter(|&&f| f).count()
}

/// These channels, each of a tensor, go together or not at all.
pub(crate) fn tie(free: &mut PerChannel<bool>, channels: &[(usize, usize)]) {
    if !channels.iter().all(|&(t, i)| free[t][i]) {
        channels.iter().for_each(|&(t, i)| free[t][i] = false);
    }
}
