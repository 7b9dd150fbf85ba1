/** Which engines are set side by side, and in what. */

/**
 * `durable`: an answered write survives a power cut. `packages`: whether it needs `npm ci` in bench/peers.
 * Cairn comes first: ratios are to it.
 */
export const ENGINES = [
  {
    name: 'cairn',
    label: 'Cairn',
    durable: true,
    packages: false,
    tasks: ['tree', 'appends', 'state'],
  },
  {
    name: 'sqlite',
    label: 'SQLite',
    durable: true,
    packages: true,
    tasks: ['tree', 'appends', 'state'],
  },
  {
    name: 'lmdb',
    label: 'LMDB',
    durable: true,
    packages: true,
    tasks: ['tree', 'appends', 'state'],
  },
  {
    name: 'redis',
    label: 'Redis',
    durable: true,
    packages: true,
    tasks: ['tree', 'appends', 'state'],
  },
  { name: 'json', label: 'JSON file', durable: true, packages: false, tasks: ['state'] },
  { name: 'kubo', label: 'Kubo', durable: true, packages: false, tasks: ['node'] },
  { name: 'pail', label: 'pail', durable: false, packages: true, tasks: ['tree'] },
  { name: 'atproto', label: '@atproto/repo', durable: false, packages: true, tasks: ['tree'] },
]

/** Beyond this many records an engine is left out: one round would take longer than all others together. */
export const MOST_RECORDS = { atproto: 100_000 }

/**
 * What the table shows: a figure of a task, and which side of it is better. `sized` figures are of a
 * tree of so many records.
 */
export const WORKLOADS = [
  {
    task: 'appends',
    clients: 1,
    figure: 'appends, /s',
    title: 'durable appends, 1 client',
    unit: '/s',
  },
  {
    task: 'appends',
    clients: 64,
    figure: 'appends, /s',
    title: 'durable appends, 64 clients',
    unit: '/s',
  },
  {
    task: 'state',
    figure: 'save',
    title: 'save of 10,000 objects, 1% changed: durable',
    unit: 'ms',
  },
  {
    task: 'state',
    figure: 'save, root',
    title: 'save of 10,000 objects, 1% changed: with a snapshot',
    unit: 'ms',
  },
  { task: 'tree', sized: true, figure: 'build', title: 'build', unit: 'ms' },
  {
    task: 'tree',
    sized: true,
    figure: 'scattered',
    title: '5,000 scattered updates: durable',
    unit: 'ms',
  },
  {
    task: 'tree',
    sized: true,
    figure: 'scattered, root',
    title: '5,000 scattered updates: with a new root',
    unit: 'ms',
  },
  {
    task: 'tree',
    sized: true,
    figure: 'newest',
    title: '5,000 updates of the newest ids: durable',
    unit: 'ms',
  },
  {
    task: 'tree',
    sized: true,
    figure: 'newest, root',
    title: '5,000 updates of the newest ids: with a new root',
    unit: 'ms',
  },
  { task: 'tree', sized: true, figure: 'lookup, us', title: 'random lookup', unit: 'us' },
  { task: 'tree', sized: true, figure: 'scan', title: 'full scan', unit: 'ms' },
  { task: 'tree', sized: true, figure: 'save', title: 'snapshot and export', unit: 'ms' },
  { task: 'tree', sized: true, figure: 'restore', title: 'verified restore', unit: 'ms' },
  { task: 'tree', sized: true, figure: 'saved, bytes', title: 'exported file', unit: 'bytes' },
]

/** A node has no task of its own rows: it stands in those of a tree. */
export const rowTask = (task) => (task === 'node' ? 'tree' : task)
