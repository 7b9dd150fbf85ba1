/** docs/guides/cluster.md: what it tells people to type, run as it stands on a real cluster. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { runPage } from '../docs/run-page.ts'
import { startCluster, type ClusterPeer } from '../helpers/cluster.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/cluster.mjs', import.meta.url))

test('docs/guides/cluster.md', { timeout: 300_000 }, async () => {
  await using cluster = await startCluster(3)
  const [store, other] = cluster.peers as [ClusterPeer, ClusterPeer]
  await vi.waitFor(
    async () => {
      const metrics = await cluster.ctl(store, 'health', 'metrics', 'freespace')
      expect(metrics.match(/freespace/g)).toHaveLength(3)
    },
    { timeout: 60_000, interval: 250 },
  )
  const ctl = (await promisify(execFile)(process.execPath, [SCRIPT, 'ctl'])).stdout.trim()
  const host = `/ip4/127.0.0.1/tcp/${new URL(other.url).port}`
  const auth = cluster.token.replace('basic:', '')
  const { stdout } = await runPage('docs/guides/cluster.md', {
    // The node at hand is one that is left; the store is on another.
    kubo: other.node,
    env: {
      CAIRN_STORE: `kubo:${store.node.url}`,
      CAIRN_CLUSTER_URL: store.url,
      CAIRN_CLUSTER_TOKEN: cluster.token,
      CAIRN_PIN_MIN: '3',
    },
    tools: {
      'ipfs-cluster-ctl': `#!/bin/sh\nexec ${ctl} --force-http --host ${host} --basic-auth ${auth} "$@"\n`,
    },
  })
  expect(stdout).toMatch(/^ok +cairn\/main\/1\+1 {2}on 3 of 3: /m)
  expect(stdout).toContain('whole: ')
  expect(stdout).toMatch(/^page:2\t[^]*^page:1\t/m)
})
