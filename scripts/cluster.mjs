/**
 * Prints the path of the IPFS Cluster peer: CLUSTER_BIN, or one built from tools/cluster. With the argument
 * `ctl`, that of its command line: CLUSTER_CTL_BIN, or built as well.
 */
import { goTool } from './go-tool.mjs'

const ctl = process.argv[2] === 'ctl'
const name = ctl ? 'ipfs-cluster-ctl' : 'ipfs-cluster-service'
const path = goTool({
  tool: 'cluster',
  module: 'github.com/ipfs-cluster/ipfs-cluster',
  main: `/cmd/${name}`,
  name,
  variable: ctl ? 'CLUSTER_CTL_BIN' : 'CLUSTER_BIN',
})
process.stdout.write(`${path}\n`)
