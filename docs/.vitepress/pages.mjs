/** Every page of the site: where its text lies, at which address it stands, what the sidebar calls it. */

const TUTORIALS = [
  ['docs/tutorials/archive.md', 'tutorials/archive', 'An archive over IPFS'],
  ['docs/tutorials/server.md', 'tutorials/server', 'A server with live state'],
]

const GUIDES = [
  ['docs/guides/live-state.md', 'guides/live-state', 'Keep your server’s state'],
  ['docs/guides/offsite.md', 'guides/offsite', 'Back up offsite'],
  ['docs/guides/encrypt.md', 'guides/encrypt', 'Encrypt backups'],
  ['docs/guides/disaster.md', 'guides/disaster', 'Restore after a disaster'],
  ['docs/guides/verify-repair.md', 'guides/verify-repair', 'Verify and repair'],
  ['docs/guides/to-kubo.md', 'guides/to-kubo', 'Move to Kubo'],
  ['docs/guides/bucket.md', 'guides/bucket', 'Keep the store in a bucket'],
  ['docs/guides/replicas.md', 'guides/replicas', 'Replicate and fail over'],
  ['docs/guides/cluster.md', 'guides/cluster', 'Pin on several nodes'],
  ['docs/guides/gateway.md', 'guides/gateway', 'Serve snapshots to any IPFS client'],
  ['docs/guides/page-entities.md', 'guides/page-entities', 'Page through entities'],
  ['docs/guides/python-state.md', 'guides/python-state', 'Save a server’s state from Python'],
  ['docs/guides/radish.md', 'guides/radish', 'Move in from JSON cache backups'],
  ['docs/guides/systemd.md', 'guides/systemd', 'Run under systemd'],
  ['docs/guides/prometheus.md', 'guides/prometheus', 'Watch with Prometheus'],
  ['docs/guides/stock-tools.md', 'guides/stock-tools', 'Read a CAR with stock tools'],
]

const EXAMPLES = [
  ['examples/scene-server/README.md', 'examples/scene-server', 'A scene server'],
  ['examples/cache-server/README.md', 'examples/cache-server', 'An expiring cache'],
  ['examples/python/README.md', 'examples/python', 'A game in Python'],
]

const RUNNING = [
  ['docs/DEPLOY.md', 'running/deploy', 'Deployment'],
  ['docs/SERVICE.md', 'running/service', 'The service'],
  ['docs/PAGE.md', 'running/page', 'The page'],
  ['docs/OPERATIONS.md', 'running/operations', 'Operations'],
  ['docs/TROUBLESHOOTING.md', 'running/troubleshooting', 'When state is not kept'],
  ['docs/UPGRADE.md', 'running/upgrade', 'Upgrading'],
  ['docs/EXAMPLES.md', 'running/examples', 'Files to copy'],
]

const REFERENCE = [
  ['docs/CLI.md', 'reference/cli', 'Command line'],
  ['docs/CONFIG.md', 'reference/config', 'Settings'],
  ['docs/HTTP.md', 'reference/http', 'HTTP API'],
  ['docs/CLIENTS.md', 'reference/clients', 'Clients'],
  ['docs/ERRORS.md', 'reference/errors', 'Errors'],
  ['docs/METRICS.md', 'reference/metrics', 'Metrics'],
  ['docs/FORMAT.md', 'reference/format', 'Format'],
]

const EXPLAINED = [
  ['docs/explain/canonical-tree.md', 'explained/canonical-tree', 'Why the tree is canonical'],
  ['docs/explain/durability.md', 'explained/durability', 'What durable means'],
  [
    'docs/explain/what-a-car-proves.md',
    'explained/what-a-car-proves',
    'What a CAR holds and proves',
  ],
  ['docs/explain/pointer.md', 'explained/pointer', 'How a build moves the pointer'],
  ['ARCHITECTURE.md', 'explained/architecture', 'Architecture'],
]

const PROJECT = [
  ['README.md', 'project/readme', 'The README'],
  ['docs/BENCHMARKS.md', 'project/benchmarks', 'Benchmarks'],
  ['docs/SCALE.md', 'project/scale', 'Scale and cost'],
  ['docs/TESTING.md', 'project/testing', 'Testing'],
  ['SECURITY.md', 'project/security', 'Security'],
  ['CONTRIBUTING.md', 'project/contributing', 'Contributing'],
  ['CHANGELOG.md', 'project/changelog', 'Changes'],
  ['clients/python/README.md', 'project/python-client', 'The Python client'],
]

const DECISIONS = 'docs/adr/README.md'

/** The parts of the sidebar, in its order. */
export const SECTIONS = [
  ['Tutorials', TUTORIALS],
  ['How to', GUIDES],
  ['Examples', EXAMPLES],
  ['Running it', RUNNING],
  ['Reference', REFERENCE],
  ['Explained', EXPLAINED],
  ['Project', [...PROJECT, [DECISIONS, 'decisions/index', 'Decisions']]],
]

const LANDING = ['docs/README.md', 'index', 'Cairn']

const PAGES = [LANDING, ...SECTIONS.flatMap(([, pages]) => pages)]
const find = (source) => PAGES.find(([path]) => path === source)

/** Source file -> address without its ending. A decision keeps its name. */
export function addressOf(source) {
  const decision = /^docs\/adr\/(\d{4}-.*)\.md$/.exec(source)
  return decision === null ? find(source)?.[1] : `decisions/${decision[1]}`
}

/** What a page is called. */
export const titleOf = (source) => find(source)?.[2]

/** Sources that have a place on the site, but for the single decisions. */
export const LISTED = PAGES.map(([path]) => path)
