/**
 * Telling people: a webhook, a command. Both are bounded in time. A webhook's address is a secret: it
 * stands in no error, and is followed nowhere else.
 */
import { spawn } from 'node:child_process'
import { hostname } from 'node:os'
import { CairnError } from '../errors.ts'
import type { Notice } from './alerts.ts'
import { subjectOf, textOf, webhookBody, type WebhookShape } from './notice.ts'

export interface DeliverOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export interface Webhook {
  readonly url: string
  readonly shape: WebhookShape
}

/** Refuses an address that nothing can be sent to, without showing it. */
export function parseWebhook(url: string, shape: WebhookShape): Webhook {
  const isPossible = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  if (isPossible) return { url, shape }
  throw new CairnError('config', 'The setting alert_webhook is no address of the web.', {
    hint: 'Give a whole one that begins with https:// (or http://).',
    setting: 'alert_webhook',
  })
}

export async function postNotice(
  notice: Notice,
  { url, shape }: Webhook,
  { timeoutMs, signal }: DeliverOptions,
): Promise<void> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const answer = await fetch(withoutUser(url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'cairn', ...userHeader(url) },
      body: JSON.stringify(webhookBody(notice, shape, hostname())),
      // Whoever can answer for the address must not choose who else is told.
      redirect: 'manual',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    })
    await answer.body?.cancel()
    if (!answer.ok) throw notDelivered(`answered ${answer.status}`)
  } catch (error) {
    if (error instanceof CairnError) throw error
    if (timeout.aborted) throw notDelivered(`did not answer within ${timeoutMs} ms`)
    throw notDelivered(reasonOf(error))
  }
}

/** A user and password in an address are not for the address line. */
function withoutUser(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  return parsed.href
}

function userHeader(url: string): { authorization?: string } {
  const { username, password } = new URL(url)
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** The system's code at most: messages of a request quote its address. */
function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? `cannot be reached: ${code}` : 'cannot be reached'
}

function notDelivered(why: string): CairnError {
  return new CairnError('backend_unavailable', `The alert webhook ${why}.`, {
    hint: 'Check alert_webhook, and whether it can be reached from this machine.',
  })
}

/** Runs the command by the shell: the subject is $1, the text comes on stdin. */
export async function runAlertCommand(
  notice: Notice,
  command: string,
  { timeoutMs, signal }: DeliverOptions,
): Promise<void> {
  const child = spawn('sh', ['-c', command, 'sh', subjectOf(notice)], {
    stdio: ['pipe', 2, 2],
    // A group of its own, which can be ended as a whole.
    detached: true,
  })
  let stopped: string | undefined
  const stop = (why: string) => (): void => {
    stopped ??= why
    endGroup(child.pid)
  }
  const timer = setTimeout(stop(`did not end within ${timeoutMs} ms and was ended`), timeoutMs)
  const abort = stop('was ended with the service')
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  // It need not read.
  child.stdin?.on('error', () => {})
  child.stdin?.end(`${textOf(notice)}\n`)
  try {
    const ended = await new Promise<string>((resolve) => {
      child.on('error', () => resolve('cannot be started'))
      child.on('exit', (code, name) => resolve(code === 0 ? '' : `ended with ${code ?? name}`))
    })
    const why = stopped ?? ended
    if (why !== '') throw commandFailed(why)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended.
  }
}

function commandFailed(how: string): CairnError {
  return new CairnError('hook_failed', `The alert command ${how}.`, {
    hint: 'Try it by hand: sh -c "$CAIRN_ALERT_COMMAND" sh subject < text',
  })
}
