/** Prints the path of a Kubo binary: KUBO_BIN, or one built from tools/kubo. */
import { goTool } from './go-tool.mjs'

const path = goTool({
  tool: 'kubo',
  module: 'github.com/ipfs/kubo',
  main: '/cmd/ipfs',
  name: 'ipfs',
  variable: 'KUBO_BIN',
})
process.stdout.write(`${path}\n`)
