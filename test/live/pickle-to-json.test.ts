/**
 * scripts/pickle-to-json.py: pickles that Python itself makes become files that an import reads; what a pickle wants to
 * run never runs.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodeJson, encodeRaw } from '../../src/content/encode.ts'
import { readBack } from '../radish/kit.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/pickle-to-json.py', import.meta.url))

let dir: string
/** What `python3` is, without a shim that takes longer to start than Python. */
let program = 'python3'

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-pickle-'))
  program = (await python('-c', 'import sys; print(sys.executable)')).stdout.trim()
})

afterAll(() => rm(dir, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const python = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(program, ['-I', ...args], { cwd: dir, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    )
  })

let pickles = 0

/** A pickle made by Python, as `expression` says; its name. */
async function pickled(expression: string, protocol = 4, before = ''): Promise<string> {
  const name = `p${(pickles += 1)}.pkl`
  const made = await python(
    '-c',
    `import pickle, datetime, collections\n${before}\n` +
      `open(${JSON.stringify(name)}, 'wb').write(pickle.dumps(${expression}, ${protocol}))`,
  )
  expect(made).toMatchObject({ code: 0 })
  return name
}

let outs = 0
const convert = (name: string, ...more: string[]): Promise<Ran> =>
  python(SCRIPT, name, '--out', `out-${(outs += 1)}`, ...more)

async function converted(name: string, ...more: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await convert(name, ...more)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(await readFile(join(dir, stdout.trim()), 'utf8')) as Record<string, unknown>
}

const GRAPH = `
import sys, types
graph = types.ModuleType('networkx.classes.graph'); views = types.ModuleType('networkx.classes.reportviews')
for name, module in (('networkx', types.ModuleType('networkx')), ('networkx.classes', types.ModuleType('networkx.classes')), ('networkx.classes.graph', graph), ('networkx.classes.reportviews', views)):
    sys.modules[name] = module
class Graph: pass
Graph.__module__ = 'networkx.classes.graph'; graph.Graph = Graph
class NodeView: pass
NodeView.__module__ = 'networkx.classes.reportviews'; views.NodeView = NodeView
g = Graph(); g._node = {'cube': {'x': 1.5}, 7: {'light': True}}; g._adj = {'cube': {7: {}}, 7: {'cube': {}}}; g.graph = {}
g.nodes = NodeView(); g.nodes._nodes = g._node; g.nodes._graph = g
session = {'timestamp': 1736695945.123, 'datetime': datetime.datetime(2025, 1, 12, 14, 32, 25), 'reason': 'user_disconnect:Alice', 'initialized': True, 'graph': g, 'metadata': {'user_count': 3}}
`
const GRAPH_NAMES = ['networkx.classes.graph.Graph', 'networkx.classes.reportviews.NodeView']
const ALLOWED = GRAPH_NAMES.flatMap((name) => ['--allow', name])

test.each([0, 1, 2, 3, 4, 5])('plain data of protocol %i', async (protocol) => {
  const name = await pickled(
    `{'text': 'ü', 'numbers': [1, -1.5, True, None, 2**63], 'tuple': (1, (2,)), 'set': {'b', 'a'}, 'frozen': frozenset([1]),
      'bytes': b'\\x00\\xff', 'deep': {'in': [bytearray(b'ab')]}, 'empty': b'', 7: {'a': {}}, (1, 'x'): 1,
      'date': datetime.datetime(2025, 11, 15, 16, 11, 18, 27451, datetime.timezone.utc), 'day': datetime.date(2025, 1, 2),
      'order': collections.OrderedDict(a=1), 'default': collections.defaultdict(list, a=[1]), 'queue': collections.deque([1, 2])}`,
    protocol,
  )
  const file = await converted(name, '--map', 'a_map')
  const data = {
    text: 'ü',
    numbers: [1, -1.5, true, null, 9223372036854775808],
    tuple: [1, [2]],
    set: ['a', 'b'],
    frozen: [1],
    bytes: 'AP8=',
    deep: { in: [{ '/': { bytes: 'YWI' } }] },
    empty: '',
    7: { a: {} },
    '[1, "x"]': 1,
    date: '2025-11-15T16:11:18.027451+00:00',
    day: '2025-01-02',
    order: { a: 1 },
    default: { a: [1] },
    queue: [1, 2],
  }
  expect(file).toEqual({
    type: 'named_cache',
    cache_name: 'a_map',
    timestamp: expect.stringMatching(/^\d{8}_\d{6}$/),
    datetime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/),
    item_count: 15,
    schema: 'cairn/radish@1',
    data,
    encodings: { bytes: 'base64', deep: 'dag-json', empty: 'base64' },
  })
})

test('what the converter writes is what an import reads', async () => {
  const name = await pickled(`{'n': [2**60, 1.5], 'bytes': b'\\x00', 'deep': [b'\\x00']}`)
  const { stdout, stderr } = await convert(name)
  expect(stderr).toBe('')
  const { header, items } = await readBack(await readFile(join(dir, stdout.trim())))
  expect(header).toMatchObject({ type: 'named_cache', cacheName: 'session', itemCount: 3 })
  expect(items.map(({ content }) => content)).toEqual([
    { block: encodeRaw(Uint8Array.of(0)) },
    { block: encodeJson([Uint8Array.of(0)]) },
    { block: encodeJson([2n ** 60n, 1.5]) },
  ])
})

test.each([0, 2, 5])(
  'a session with a graph, of protocol %i: refused by name, taken when allowed',
  async (protocol) => {
    const name = await pickled('session', protocol, GRAPH)
    const refused = await convert(name)
    expect(refused.code).toBe(1)
    for (const one of GRAPH_NAMES) expect(refused.stderr).toContain(`--allow ${one}`)
    const nodes = await converted(name, ...ALLOWED, '--at', 'graph/state/_node', '--map', 'scene')
    expect(nodes).toMatchObject({ item_count: 2, data: { cube: { x: 1.5 }, 7: { light: true } } })
    // The view of its nodes knows the graph, as in NetworkX.
    expect((await convert(name, ...ALLOWED)).stderr).toContain('contains itself')
    const whole = await converted(
      await pickled('session', protocol, `${GRAPH}\ndel g.nodes`),
      '--allow',
      GRAPH_NAMES[0] ?? '',
    )
    expect(whole['data']).toMatchObject({
      reason: 'user_disconnect:Alice',
      datetime: '2025-01-12T14:32:25',
      graph: {
        class: 'networkx.classes.graph.Graph',
        state: { _node: { cube: { x: 1.5 } }, _adj: { cube: { 7: {} } } },
      },
    })
  },
)

/** Each runs a program that leaves a mark when Python loads it. */
const ATTACKS: readonly (readonly [string, string, string])[] = [
  [
    'os.system',
    'posix.system',
    `class A:\n  def __reduce__(self):\n    import os\n    return os.system, ('touch MARK',)`,
  ],
  [
    'eval',
    'builtins.eval',
    `class A:\n  def __reduce__(self):\n    return eval, ("open('MARK', 'w')",)`,
  ],
  ['open', '_io.open', `class A:\n  def __reduce__(self):\n    return open, ('MARK', 'w')`],
  [
    'getattr',
    'builtins.getattr',
    `class A:\n  def __reduce__(self):\n    return getattr, (open('MARK', 'w') and 'x', 'upper')`,
  ],
]

test.each(ATTACKS)(
  '%s is refused by its name, and is nothing but data when it is allowed',
  async (_, called, made) => {
    for (const protocol of [0, 4]) {
      const name = await pickled('{"x": A()}', protocol, made)
      await rm(join(dir, 'MARK'), { force: true })
      const refused = await convert(name)
      expect(refused.code).toBe(1)
      const short = called.split('.')[1] ?? ''
      expect(refused.stderr).toMatch(new RegExp(`it needs \\S+\\.${short}\\.`))
      const full = /it needs (\S+)\. If/.exec(refused.stderr)?.[1] ?? ''
      const file = await converted(name, '--allow', full)
      expect(file['data']).toEqual({ x: { class: full, args: expect.any(Array) } })
      expect(await readdir(dir)).not.toContain('MARK')
    }
  },
)

test('the attack would have worked: Python itself runs it', async () => {
  const name = await pickled('A()', 4, ATTACKS[0]?.[2])
  await python('-c', `import pickle; pickle.load(open('${name}', 'rb'))`)
  expect(await readdir(dir)).toContain('MARK')
  await rm(join(dir, 'MARK'))
})

test.each([
  ['a call of a call', `cposix\nsystem\n(S'touch MARK'\ntR(S'x'\ntR.`, 'calls what is no class'],
  ['a state for a list', `(lp0\n(dp1\nS'append'\nI1\nsb.`, 'a state to what has none'],
  ['a persistent name', 'Pfile\n.', 'PERSID'],
  ['an extension', Buffer.from('80028201' + '2e', 'hex'), 'EXT1'],
  ['a buffer from elsewhere', Buffer.from('8005972e', 'hex'), 'NEXT_BUFFER'],
  [
    'itself in itself',
    Buffer.from('80045d945d9468006161' + '2e', 'hex'),
    'contains itself|stack|not there',
  ],
  ['a length beyond the file', Buffer.from('80048effffffffffffff7f2e', 'hex'), 'not converted'],
  ['no end', Buffer.from('80045d', 'hex'), 'not converted'],
  ['an empty stack', Buffer.from('80042e', 'hex'), 'stack is empty'],
  ['a mark that is missing', 't.', 'mark is missing'],
  ['what is not there', 'g7\n.', 'not there'],
  ['no pickle', '{"type":"named_cache"}', 'not converted'],
  ['nothing', '', 'not converted'],
])('%s is refused', async (_, bytes, why) => {
  const name = `h${outs}.pkl`
  await writeFile(join(dir, name), bytes)
  const { code, stderr, stdout } = await convert(name)
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(new RegExp(why))
  expect(stderr).not.toContain('Traceback')
  expect(await readdir(dir)).not.toContain('MARK')
})

test.each([
  ['NaN', 'float("nan")', 'JSON has no word'],
  ['an integer beyond 64 bits', '2**64', 'beyond 64 bits'],
  ['two keys that are one in JSON', '{1: 1, "1": 2}', 'two keys'],
  ['half a character', '"\\ud800"', 'not Unicode'],
  ['a class', 'dict', 'itself, not data'],
  ['the key "/"', '{"a": {"/": 1}}', 'keeps for bytes'],
  [
    'much from little',
    '__import__("functools").reduce(lambda a, _: [a] * 10, range(9), [])',
    'more than',
  ],
  [
    'a depth without end',
    '__import__("functools").reduce(lambda a, _: [a], range(600), [])',
    'levels deep',
  ],
])('%s has no place in JSON', async (_, expression, why) => {
  const before = 'import sys\nsys.setrecursionlimit(10000)\nimport builtins'
  const { code, stderr } = await convert(
    await pickled(`{"k": ${expression}}`, 4, before),
    '--max-values',
    '10000',
  )
  expect([code, stderr]).toEqual([1, expect.stringContaining(why)])
})

test('the help begins with the warning, and nothing is written over', async () => {
  const { stdout } = await python(SCRIPT, '--help')
  expect(stdout).toContain('WARNING. A pickle is a program.')
  expect(stdout).toContain('--network none')
})
