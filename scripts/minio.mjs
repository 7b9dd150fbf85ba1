/** Prints the path of a MinIO binary: MINIO_BIN, or one built from tools/minio. */
import { goTool } from './go-tool.mjs'

const path = goTool({
  tool: 'minio',
  module: 'github.com/minio/minio',
  main: '',
  name: 'minio',
  variable: 'MINIO_BIN',
})
process.stdout.write(`${path}\n`)
