/** docs/OPERATIONS.md: what it tells people to type is run as it stands, but for the drill (test/ops/operations.test.ts). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { ROOT, runPage } from './run-page.ts'

let kubo: KuboNode

beforeAll(async () => {
  kubo = await startKuboNode()
})

afterAll(() => kubo.dispose())

const BEFORE = `
  KIT="$(dirname "$CAIRN")/../scripts"
  export KIT CAIRN_DATA_DIR="$PWD/live"
  mkdir "$KIT" && cp "$ROOT"/scripts/*.sh "$KIT"
  {
    for n in 1 2 3; do echo "{\\"pi\\":\\"user:$n\\",\\"value\\":$n}"; echo "{\\"pi\\":\\"scan-$n\\",\\"value\\":$n}"; done | cairn import -
    cairn build-snapshot
    cairn put user:1 --value '"second"'
    cairn build-snapshot
    cairn export-car
    cairn drill
    cairn verify
  } >"$RUN/before"`

const FRESH = (name: string): string => `export CAIRN_DATA_DIR="$PWD/${name}"`

/** What each block finds, where the page stands for another machine or another day. */
const BEFORE_BLOCK = {
  '--encrypt-to age1': `
    age-keygen -o key.txt
    RECIPIENT=$(age-keygen -y key.txt)`,
  'ls -l /var/lib/cairn/backups': `
    PI=user:1
    FILE=$(cairn export-car --out "$PWD/file.car")
    WHEN=$(date +%s%3N)`,
  'cairn restore-car FILE\n': FRESH('lost'),
  'restore-car FULL DELTA': `
    FULL=$(cairn export-car --snapshot latest --out full.car)
    cairn put user:9 --value 9 >"$RUN/before"
    DELTA=$(cairn export-car --since latest --out delta.car)
    ${FRESH('from-delta')}`,
  'restore-car snapshot.car': `
    ipfs dag export --progress=false "$(cairn --store kubo:$KUBO_URL build-snapshot)" > snapshot.car
    ${FRESH('from-node')}`,
  'cairn snapshots --limit 10': `
    cairn put user:1 --value 1 >"$RUN/before"
    cairn build-snapshot >>"$RUN/before"
    cairn put user:1 --value 2 >>"$RUN/before"
    cairn build-snapshot >>"$RUN/before"`,
}

function here(code: string): string {
  return code
    .replaceAll('check-snapshot-health.sh', 'check-snapshot-health.sh --skip disk')
    .replaceAll(/age1[a-z0-9]{20,}/g, '"$RECIPIENT"')
    .replaceAll('main-41-20260501-030412-qphnvqfu.car.age', '"$CAIRN_DATA_DIR"/backups/*.car.age')
    .replaceAll('/var/lib/cairn/backups', '"$CAIRN_DATA_DIR/backups"')
    .replaceAll('2026-05-01T12:00:00Z', '"$WHEN"')
    .replaceAll('seq:40', 'seq:3')
    .replaceAll('--commit 41', '--commit 1')
    .replaceAll('arke-42.car', `${ROOT}/fixtures/arke/head-20.car`)
    .replaceAll('http://other:5001', kubo.url)
    .replaceAll(/\b(PI|FILE|FULL|DELTA)\b/g, '"$$$1"')
}

test('docs/OPERATIONS.md, but for the drill', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/OPERATIONS.md', {
    chapters: (chapter) => chapter !== 'The disaster drill',
    kubo,
    before: BEFORE,
    beforeBlock: BEFORE_BLOCK,
    here,
  })
  for (const said of ['OK: drill', 'passed: ', 'restored', 'sound: '])
    expect({ said, is: stdout.includes(said) ? 'there' : stdout }).toEqual({ said, is: 'there' })
})
