//! Making room, removing, looking over.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use crate::blocks::{Id, Kept, path};
use crate::evict::{self, Node};
use crate::format::{Damage, Header, Owner};
use crate::key::{Key, Name};
use crate::storage::{FileInfo, Storage};
use crate::store::{Options, Shared, Store, now};
use crate::write::TEMPORARY;
use crate::{uses, write};

/// A temporary file that has not changed for so many seconds belongs to a process that is gone.
const STALE_SECONDS: u64 = 600;
/// Notes are not appended beyond this.
const MAX_NOTES: u64 = 64 << 10;
const NOTES: &str = "notes";
/// Says what a folder's blocks belong to, for people.
const ABOUT: &str = "about";
/// How many blocks are written before the bytes on disk are counted again: other processes write too.
const COUNT_EVERY: usize = 64;

/// Notes a damaged file for the next `verify`.
pub(crate) fn note(storage: &dyn Storage, file: &str, damage: Damage) {
    if storage.info(NOTES).map_or(0, |info| info.bytes) < MAX_NOTES {
        let _ = storage.append(NOTES, format!("{file} {damage}\n").as_bytes());
    }
}

/// What of the store's bytes the writer knows.
#[derive(Default)]
pub(crate) struct Room {
    used: Option<u64>,
    n_since: usize,
}

impl Room {
    /// Makes sure that `n_bytes` more fit, and gives the tokens that went for it. The block `parent` and all before it stay.
    pub(crate) fn make(
        &mut self,
        shared: &Shared,
        n_bytes: u64,
        parent: &(String, [u8; 16]),
    ) -> io::Result<usize> {
        let storage = &*shared.storage;
        if self.n_since >= COUNT_EVERY {
            self.used = None;
        }
        let used = *self.used.get_or_insert_with(|| files(storage).iter().map(|f| f.info.bytes).sum());
        let high = shared.options.high_water(storage, used);
        if used + n_bytes <= high {
            return Ok(0);
        }
        let low = Options::low_water(high).saturating_sub(n_bytes);
        let n_tokens = evict_to(shared, low, parent);
        let used = files(storage).iter().map(|f| f.info.bytes).sum();
        (self.used, self.n_since) = (Some(used), 0);
        if used + n_bytes > high {
            return Err(io::Error::other("the store is full, and all in it is in use"));
        }
        Ok(n_tokens)
    }

    /// So many bytes were written.
    pub(crate) fn took(&mut self, n_bytes: u64) {
        self.used = self.used.map(|used| used + n_bytes);
        self.n_since += 1;
    }
}

struct Listed {
    folder: String,
    file: String,
    /// None for files that are no blocks.
    name: Option<Name>,
    info: FileInfo,
}

/// All files in all folders. What cannot be listed is not there.
fn files(storage: &dyn Storage) -> Vec<Listed> {
    let mut listed = Vec::new();
    for folder in storage.folders().unwrap_or_default() {
        for file in storage.files(&folder).unwrap_or_default() {
            if let Ok(info) = storage.info(&format!("{folder}/{file}")) {
                let name = Name::parse(&file);
                listed.push(Listed { folder: folder.clone(), file, name, info });
            }
        }
    }
    listed
}

fn evict_to(shared: &Shared, low: u64, parent: &(String, [u8; 16])) -> usize {
    let storage = &*shared.storage;
    let listed = files(storage);
    remove_stale(storage, &listed, STALE_SECONDS);
    let used: u64 = listed.iter().map(|f| f.info.bytes).sum();
    let blocks: Vec<(Id, FileInfo)> =
        listed.into_iter().filter_map(|f| Some(((f.folder, f.name?), f.info))).collect();
    let headers: Vec<Option<Header>> = blocks
        .iter()
        .map(|((folder, name), _)| Kept::open(storage, folder, name).ok().map(|kept| kept.header))
        .collect();
    let (mut nodes, node_of) = nodes(&blocks, &headers, parent);
    evict::count_uses(&mut nodes, &node_of, &uses::read(storage), now());
    let mut n_tokens = 0;
    for idx in evict::plan(&nodes, used.saturating_sub(low)) {
        let (folder, name) = &blocks[idx].0;
        if storage.remove(&path(folder, name)).is_ok() {
            n_tokens += headers[idx].as_ref().map_or(0, |header| header.tokens.len());
        }
        shared.blocks().forget(&blocks[idx].0);
    }
    n_tokens
}

/// The blocks as eviction sees them, and which nodes carry a key.
fn nodes(
    blocks: &[(Id, FileInfo)],
    headers: &[Option<Header>],
    protected: &(String, [u8; 16]),
) -> (Vec<Node>, HashMap<[u8; 16], Vec<usize>>) {
    let at: HashMap<(&str, [u8; 16]), usize> = blocks
        .iter()
        .enumerate()
        .map(|(idx, ((folder, name), _))| ((folder.as_str(), name.key), idx))
        .collect();
    let mut node_of: HashMap<[u8; 16], Vec<usize>> = HashMap::new();
    let now = now();
    let nodes = blocks.iter().zip(headers).enumerate().map(|(idx, (((folder, name), info), header))| {
        node_of.entry(name.key).or_default().push(idx);
        let parent = at.get(&(folder.as_str(), name.parent)).copied().filter(|&parent| parent != idx);
        let is_reachable = parent.is_some() || header.as_ref().is_some_and(|h| h.first_pos == 0);
        Node {
            parent,
            bytes: info.bytes,
            seconds: header.as_ref().filter(|_| is_reachable).map_or(0.0, |header| header.seconds.max(1e-9)),
            uses: evict::decayed(now, info.modified),
            pinned: header.as_ref().is_some_and(|header| header.pinned),
            protected: (folder.as_str(), name.key) == (protected.0.as_str(), protected.1),
        }
    });
    (nodes.collect(), node_of)
}

/// Removes temporary files of processes that are gone.
fn remove_stale(storage: &dyn Storage, listed: &[Listed], seconds: u64) -> usize {
    let is_stale =
        |f: &&Listed| f.file.starts_with(TEMPORARY) && now().saturating_sub(f.info.modified) >= seconds;
    let stale = listed.iter().filter(is_stale);
    stale.filter(|f| storage.remove(&format!("{}/{}", f.folder, f.file)).is_ok()).count()
}

/// Removes the shorter blocks that a new one holds word for word: nothing would ever choose them.
pub(crate) fn remove_covered(shared: &Shared, folder: &str, new: &Header) {
    let storage = &*shared.storage;
    let Ok(files) = storage.files(folder) else { return };
    let siblings = files.iter().filter_map(|file| Name::parse(file));
    for name in siblings.filter(|name| name.parent == new.parent.short() && name.key != new.key.short()) {
        let Ok(kept) = Kept::open(storage, folder, &name) else { continue };
        let tokens = &kept.header.tokens;
        if !kept.header.pinned && tokens.len() < new.tokens.len() && new.tokens.starts_with(tokens) {
            let _ = storage.remove(&path(folder, &name));
            shared.blocks().forget(&(folder.to_owned(), name));
        }
    }
}

/// What a namespace holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamespaceStatus {
    /// What the caller said it is, the first time; empty if that is not known.
    pub about: String,
    /// Blocks.
    pub n_blocks: usize,
    /// Tokens in them.
    pub n_tokens: usize,
    /// Bytes on disk.
    pub n_bytes: u64,
    /// Owners whose content is in them, those that are counted as one once.
    pub n_owners: usize,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// By namespace.
    pub namespaces: Vec<NamespaceStatus>,
    /// Bytes on disk, temporary files included.
    pub n_bytes: u64,
    /// The most there may be.
    pub max_bytes: u64,
}

/// What looking over a store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Blocks whose every byte is as it was written.
    pub n_good: usize,
    /// Files that cannot be believed, and why. They are removed where that is possible.
    pub damaged: Vec<(String, String)>,
    /// Blocks that nothing leads to, since one before them is gone. They are removed too.
    pub n_orphans: usize,
    /// Files that were found to be damaged when they were needed, since the last time, and why.
    pub noted: Vec<String>,
    /// Temporary files of processes that are gone, removed.
    pub n_stale: usize,
}

impl Store {
    /// Says for people what a namespace's blocks belong to; the first one to say it counts.
    pub fn describe(&self, namespace: &crate::Namespace, about: &str) {
        let (storage, file) = (&*self.shared.storage, format!("{}/{ABOUT}", namespace.folder()));
        if storage.info(&file).is_err() {
            let _ = write::file(storage, &file, &[about.as_bytes()]);
        }
    }

    /// What the store holds. Owners that `one` makes equal are counted as one.
    pub fn status(&self, one: &dyn Fn(&Owner) -> Owner) -> Status {
        let storage = &*self.shared.storage;
        let listed = files(storage);
        let mut namespaces: BTreeMap<&str, NamespaceStatus> = BTreeMap::new();
        let mut owners: BTreeMap<&str, BTreeSet<Owner>> = BTreeMap::new();
        for file in &listed {
            let Some(name) = &file.name else { continue };
            let status = namespaces.entry(&file.folder).or_default();
            status.n_blocks += 1;
            status.n_bytes += file.info.bytes;
            if let Ok(kept) = Kept::open(storage, &file.folder, name) {
                status.n_tokens += kept.header.tokens.len();
                let of_block = kept.header.owners.iter().map(one);
                owners.entry(&file.folder).or_default().extend(of_block);
            }
        }
        for (folder, status) in &mut namespaces {
            let about = storage.read(&format!("{folder}/{ABOUT}")).unwrap_or_default();
            status.about = String::from_utf8_lossy(&about).chars().filter(|c| !c.is_control()).collect();
            status.n_owners = owners.get(folder).map_or(0, BTreeSet::len);
        }
        let n_bytes = listed.iter().map(|file| file.info.bytes).sum();
        Status {
            namespaces: namespaces.into_values().collect(),
            n_bytes,
            max_bytes: self.shared.options.high_water(storage, n_bytes),
        }
    }

    /// Reads every byte of every block. What cannot be believed is told and removed.
    pub fn verify(&self) -> Verified {
        let storage = &*self.shared.storage;
        let listed = files(storage);
        let mut verified =
            Verified { n_stale: remove_stale(storage, &listed, STALE_SECONDS), ..Verified::default() };
        let mut good: Vec<(Id, Header)> = Vec::new();
        for file in listed {
            let Some(name) = file.name else { continue };
            match Kept::open(storage, &file.folder, &name).and_then(|kept| kept.prove().map(|()| kept)) {
                Ok(kept) => good.push(((file.folder, name), kept.header.clone())),
                // A file that went away meanwhile was evicted by somebody.
                Err(_) if storage.info(&path(&file.folder, &name)).is_err() => {}
                Err(damage) => {
                    let path = path(&file.folder, &name);
                    verified.damaged.push((path.clone(), damage.to_string()));
                    let _ = storage.remove(&path);
                    self.shared.blocks().forget(&(file.folder, name));
                }
            }
        }
        let n_read = good.len();
        for id in orphans(&good) {
            let _ = storage.remove(&path(&id.0, &id.1));
            self.shared.blocks().forget(id);
            verified.n_orphans += 1;
        }
        verified.n_good = n_read - verified.n_orphans;
        let notes = storage.read(NOTES).unwrap_or_default();
        verified.noted = String::from_utf8_lossy(&notes).lines().map(str::to_owned).collect();
        let _ = storage.remove(NOTES);
        verified
    }

    /// Removes everything.
    ///
    /// # Errors
    /// What the system says where something cannot be removed.
    pub fn purge(&self) -> io::Result<usize> {
        let storage = &*self.shared.storage;
        let mut n_blocks = 0;
        for folder in storage.folders()? {
            for file in storage.files(&folder)? {
                remove(storage, &format!("{folder}/{file}"))?;
                n_blocks += usize::from(Name::parse(&file).is_some());
            }
            let _ = storage.remove_folder(&folder);
        }
        uses::forget(storage);
        let _ = storage.remove(NOTES);
        self.shared.blocks().forget_all();
        Ok(n_blocks)
    }

    /// Removes the blocks with an owner that `is_gone`, all blocks behind them, what cannot be read (nobody knows whose it
    /// is), and unfinished files. Gives the number of blocks.
    ///
    /// # Errors
    /// What the system says where something cannot be removed.
    pub fn remove_owned(&self, is_gone: &dyn Fn(&Owner) -> bool) -> io::Result<usize> {
        let storage = &*self.shared.storage;
        let listed = files(storage);
        let mut gone: HashSet<(&str, [u8; 16])> = HashSet::new();
        let mut children: HashMap<(&str, [u8; 16]), Vec<&Listed>> = HashMap::new();
        let mut queue: Vec<&Listed> = Vec::new();
        for file in &listed {
            let Some(name) = &file.name else {
                if file.file.starts_with(TEMPORARY) {
                    let _ = storage.remove(&format!("{}/{}", file.folder, file.file));
                }
                continue;
            };
            children.entry((&file.folder, name.parent)).or_default().push(file);
            match Kept::open(storage, &file.folder, name) {
                Ok(kept) if !kept.header.owners.iter().any(is_gone) => {}
                _ => queue.push(file),
            }
        }
        let mut n_blocks = 0;
        while let Some(file) = queue.pop() {
            let Some(name) = &file.name else { continue };
            if !gone.insert((&file.folder, name.key)) {
                continue;
            }
            remove(storage, &path(&file.folder, name))?;
            self.shared.blocks().forget(&(file.folder.clone(), *name));
            n_blocks += 1;
            queue.extend(children.get(&(file.folder.as_str(), name.key)).into_iter().flatten().copied());
        }
        Ok(n_blocks)
    }
}

/// Removing what is gone already is no failure: another process was faster.
fn remove(storage: &dyn Storage, path: &str) -> io::Result<()> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Blocks that no chain from a root leads to.
fn orphans(blocks: &[(Id, Header)]) -> Vec<&Id> {
    let mut reachable: HashSet<(&str, Key)> = HashSet::new();
    let mut by_position: Vec<&(Id, Header)> = blocks.iter().collect();
    by_position.sort_by_key(|(_, header)| header.first_pos);
    let mut orphans = Vec::new();
    for ((id, header), folder) in by_position.into_iter().map(|block| (block, block.0.0.as_str())) {
        if header.first_pos == 0 || reachable.contains(&(folder, header.parent)) {
            reachable.insert((folder, header.key));
        } else {
            orphans.push(id);
        }
    }
    orphans
}
