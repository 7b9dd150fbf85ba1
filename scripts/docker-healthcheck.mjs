/** Ends with 0 when the service in this container is ready to answer; it asks as a client would. */
import http from 'node:http'
import https from 'node:https'

const PATIENCE_MS = 4000

const tls = (process.env['CAIRN_TLS_CERT'] ?? '') !== ''
const port = process.env['CAIRN_PORT'] || process.env['PORT'] || '3000'
// The certificate is for the name that others use.
const request = (tls ? https : http).get({
  host: '127.0.0.1',
  port,
  path: '/readyz',
  rejectUnauthorized: false,
  timeout: PATIENCE_MS,
})
request.on('response', (answer) => {
  answer.resume()
  process.exitCode = answer.statusCode === 200 ? 0 : 1
  if (process.exitCode !== 0) process.stdout.write(`/readyz answers ${answer.statusCode}\n`)
})
request.on('timeout', () => request.destroy(new Error('no answer')))
request.on('error', (error) => {
  process.stdout.write(`${error.message}\n`)
  process.exitCode = 1
})
