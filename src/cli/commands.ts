/** All commands. Only the one that runs is loaded. */
import type { CommandEntry } from './command.ts'

const WRITE = 'Write:'
const READ = 'Read:'
const SNAPSHOT = 'Snapshots:'
const MOVE = 'Move:'
const SERVE = 'Serve:'
const OTHER = 'Look after it:'

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    group: WRITE,
    summary: 'make a dataset',
    load: async () => (await import('./command/init.ts')).init,
  },
  {
    name: 'put',
    group: WRITE,
    summary: 'store a value or a file as the next version of an entity',
    load: async () => (await import('./command/put.ts')).put,
  },
  {
    name: 'append',
    group: WRITE,
    summary: 'point an entity at content that has a CID already, or delete it',
    load: async () => (await import('./command/append.ts')).append,
  },
  {
    name: 'get',
    group: READ,
    summary: 'the current version of an entity',
    load: async () => (await import('./command/get.ts')).get,
  },
  {
    name: 'cat',
    group: READ,
    summary: 'the content of an entity, or of a CID',
    load: async () => (await import('./command/cat.ts')).cat,
  },
  {
    name: 'list',
    group: READ,
    summary: 'a page of entities',
    load: async () => (await import('./command/list.ts')).list,
  },
  {
    name: 'history',
    group: READ,
    summary: 'the kept versions of an entity, newest first',
    load: async () => (await import('./command/history.ts')).history,
  },
  {
    name: 'maps',
    group: READ,
    summary: 'live maps of programs: list them, bring back what they were',
    load: async () => (await import('./command/maps.ts')).maps,
  },
  {
    name: 'build-snapshot',
    group: SNAPSHOT,
    summary: 'fold the recent entries into a new snapshot',
    load: async () => (await import('./command/build-snapshot.ts')).buildSnapshot,
  },
  {
    name: 'snapshots',
    group: SNAPSHOT,
    summary: 'the kept snapshots, newest first',
    load: async () => (await import('./command/snapshots.ts')).snapshots,
  },
  {
    name: 'diff',
    group: SNAPSHOT,
    summary: 'what changed from one snapshot to another',
    load: async () => (await import('./command/diff.ts')).diff,
  },
  {
    name: 'rollback',
    group: SNAPSHOT,
    summary: 'make an earlier state current again',
    load: async () => (await import('./command/rollback.ts')).rollback,
  },
  {
    name: 'prune',
    group: SNAPSHOT,
    summary: 'forget old snapshots and free what nothing needs',
    load: async () => (await import('./command/prune.ts')).prune,
  },
  {
    name: 'import',
    group: MOVE,
    summary: 'read entities from NDJSON',
    load: async () => (await import('./command/import.ts')).importCommand,
  },
  {
    name: 'import-arke',
    group: MOVE,
    summary: 'read the data of the system that Cairn replaces',
    load: async () => (await import('./command/import-arke.ts')).importArkeCommand,
  },
  {
    name: 'export',
    group: MOVE,
    summary: 'write all entities as NDJSON',
    load: async () => (await import('./command/export.ts')).exportCommand,
  },
  {
    name: 'export-car',
    group: MOVE,
    summary: 'back up everything into one verified CAR file',
    load: async () => (await import('./command/export-car.ts')).exportCar,
  },
  {
    name: 'restore-car',
    alias: 'restore',
    group: MOVE,
    summary: 'bring back what a CAR file holds',
    load: async () => (await import('./command/restore-car.ts')).restoreCar,
  },
  {
    name: 'sync',
    group: MOVE,
    summary: 'copy the dataset to another store, and keep the copy up to date',
    load: async () => (await import('./command/sync.ts')).sync,
  },
  {
    name: 'promote',
    group: MOVE,
    summary: 'put a replica in the place of its primary',
    load: async () => (await import('./command/promote.ts')).promote,
  },
  {
    name: 'rejoin',
    group: MOVE,
    summary: 'make an old primary a replica of the new one, losing nothing',
    load: async () => (await import('./command/rejoin.ts')).rejoin,
  },
  {
    name: 'car',
    group: MOVE,
    summary: 'look into a CAR, verify it, take things out, without any store',
    load: async () => (await import('./command/car.ts')).car,
  },
  {
    name: 'pins',
    group: MOVE,
    summary: 'snapshots pinned on several nodes of an IPFS Cluster',
    load: async () => (await import('./command/pins.ts')).pins,
  },
  {
    name: 'serve',
    group: SERVE,
    summary: 'serve the store over HTTP and keep it safe: snapshots, backups, alerts',
    load: async () => (await import('./command/serve.ts')).serve,
  },
  {
    name: 'token',
    group: SERVE,
    summary: 'who may use the service: make, list and revoke tokens',
    load: async () => (await import('./command/token.ts')).token,
  },
  {
    name: 'top',
    group: SERVE,
    summary: 'a live view of a service or a store: health, rates, chain, builds',
    load: async () => (await import('./command/top.ts')).top,
  },
  {
    name: 'status',
    group: OTHER,
    summary: 'counts, sizes and the index pointer',
    load: async () => (await import('./command/status.ts')).status,
  },
  {
    name: 'datasets',
    group: OTHER,
    summary: 'the datasets of the store',
    load: async () => (await import('./command/datasets.ts')).datasets,
  },
  {
    name: 'config',
    group: OTHER,
    summary: 'every setting and where it comes from',
    load: async () => (await import('./command/config.ts')).config,
  },
  {
    name: 'doctor',
    group: OTHER,
    summary: 'check the machine, the store and the dataset',
    load: async () => (await import('./command/doctor.ts')).doctor,
  },
  {
    name: 'health',
    group: OTHER,
    summary: 'is the data safe? a line for each check',
    load: async () => (await import('./command/health.ts')).health,
  },
  {
    name: 'backups',
    group: OTHER,
    summary: 'the CARs in the backups folder, newest first',
    load: async () => (await import('./command/backups.ts')).backups,
  },
  {
    name: 'offsite',
    group: OTHER,
    summary: 'copies of the CARs in a bucket: push, pull, list, prune',
    load: async () => (await import('./command/offsite.ts')).offsite,
  },
  {
    name: 'coverage',
    group: OTHER,
    summary: 'which moments could be brought back, and from what',
    load: async () => (await import('./command/coverage.ts')).coverageCommand,
  },
  {
    name: 'verify',
    group: OTHER,
    summary: 'read and hash what the store holds; never repairs',
    load: async () => (await import('./command/verify.ts')).verify,
  },
  {
    name: 'repair',
    group: OTHER,
    summary: 'bring back what verify found missing or corrupt from other copies',
    load: async () => (await import('./command/repair.ts')).repair,
  },
  {
    name: 'recover',
    group: OTHER,
    summary: 'find the commits of a node that lost its MFS, and put them back',
    load: async () => (await import('./command/recover.ts')).recover,
  },
  {
    name: 'drill',
    group: OTHER,
    summary: 'try the newest backup: restore it into a scratch store and look',
    load: async () => (await import('./command/drill.ts')).drillCommand,
  },
  {
    name: 'selftest',
    group: OTHER,
    summary: 'try every operation on a scratch store, also killed at every step',
    load: async () => (await import('./command/selftest.ts')).selftest,
  },
  {
    name: 'compact',
    group: OTHER,
    summary: 'give the space of what was freed back to the system',
    load: async () => (await import('./command/compact.ts')).compact,
  },
  {
    name: 'completion',
    group: OTHER,
    summary: 'a completion script for bash, zsh or fish',
    load: async () => (await import('./command/completion.ts')).completion,
  },
]
