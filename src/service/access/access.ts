/**
 * Who may ask for what. Without a token in the file, the service is open to the machine it runs on, and to
 * nobody else; with one, every route that is not for everybody wants a token with its right.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CairnError } from '../../errors.ts'
import { guardOpen, isLoopback, refuseTwice } from '../http/guards.ts'
import type { Service } from '../service.ts'
import { limiter, type Limiter } from './limiter.ts'
import { allows, type Right } from './rights.ts'
import type { Token } from './tokens.ts'

/** Wrong tokens that one address may send at once, and again each minute. */
const WRONG_AT_ONCE = 20
const WRONG_PER_SECOND = WRONG_AT_ONCE / 60

const BEARER = /^Bearer ([\w.~+/=-]{1,512})$/i

export type AccessService = Pick<Service, 'values' | 'tokens' | 'now'>

export type AccessControl = (request: FastifyRequest, reply: FastifyReply) => void

/** Lets a request pass, or throws `unauthenticated`, `access_denied` or `rate_limited`. */
export function accessControl(service: AccessService): AccessControl {
  const clock = { now: () => performance.now() }
  const wrong = limiter({ perSecond: () => WRONG_PER_SECOND, burst: () => WRONG_AT_ONCE, ...clock })
  const rate = (): number => service.values().rate_limit
  const asked = limiter({ perSecond: rate, burst: () => Math.max(1, rate()), ...clock })
  return (request, reply) => {
    refuseTwice(request.raw.rawHeaders)
    const open = isOpen(service)
    if (open) {
      const { host, cors_origins } = service.values()
      guardOpen(request.method, request.headers, host, cors_origins)
    }
    const { right: needs, limited: counted = false } = request.routeOptions.config
    if (needs === 'none' && counted && rate() > 0) limit(asked, request.ip, reply)
    // An address that nobody serves; or one for everybody.
    if (needs === undefined || needs === 'none') return
    const token = open ? undefined : identify(service, wrong, request, reply)
    if (rate() > 0) limit(asked, token?.id ?? request.ip, reply)
    if (token !== undefined) authorize(service, token, needs, request)
  }
}

/** Whether who asks also has `right`, over all datasets. */
export function mayAlso(service: AccessService, right: Right, request: FastifyRequest): boolean {
  if (isOpen(service)) return true
  const token = tokenOf(service, request)
  return token !== undefined && token.datasets === undefined && allows(token.right, right)
}

/** Whether who asks may go on with an answer that began when they might: tokens are revoked. */
export function isStillAllowed(service: AccessService, request: FastifyRequest): boolean {
  const needs = request.routeOptions.config.right
  if (needs === undefined || needs === 'none' || isOpen(service)) return true
  const token = tokenOf(service, request)
  return token !== undefined && allows(token.right, needs) && isFor(service, token, request)
}

/** Whether who asks is bound to some datasets, which are not all of these. */
export async function isBound(
  service: AccessService,
  request: FastifyRequest,
  all: () => Promise<readonly string[]>,
): Promise<boolean> {
  if (isOpen(service)) return false
  const only = tokenOf(service, request)?.datasets
  return only !== undefined && !(await all()).every((name) => only.has(name))
}

/** For routes whose right depends on what is asked for; the dataset was judged before. */
export function requireRight(service: AccessService, request: FastifyRequest, needs: Right): void {
  if (isOpen(service)) return
  const token = tokenOf(service, request)
  if (token === undefined || !allows(token.right, needs)) throw noRight(needs, token)
}

function tokenOf({ tokens }: AccessService, request: FastifyRequest): Token | undefined {
  const text = bearerOf(request)
  return text === undefined ? undefined : tokens.find(text)
}

function noRight(needs: Right, token: Token | undefined): CairnError {
  return new CairnError('access_denied', `This needs the right ${needs}.`, {
    hint:
      token === undefined
        ? 'Send a token that has it.'
        : `The token "${token.name}" has the right ${token.right}.`,
  })
}

/** What a proxy hands on to others is never open, whatever the address. */
function isOpen({ tokens, values }: AccessService): boolean {
  const { host, behind_proxy } = values()
  return !tokens.any() && isLoopback(host) && behind_proxy === 'no'
}

function identify(
  { tokens }: AccessService,
  wrong: Limiter,
  request: FastifyRequest,
  reply: FastifyReply,
): Token {
  const text = bearerOf(request)
  if (text === undefined) {
    throw new CairnError('unauthenticated', 'A token is needed.', {
      hint: 'Send `Authorization: Bearer TOKEN`; `cairn token create` makes one.',
    })
  }
  // First of all: an address may be that of a proxy, and whoever guesses must not lock out who knows.
  const token = tokens.find(text)
  if (token !== undefined) return token
  const wait = wrong.take(request.ip)
  if (wait > 0) throw limited(reply, wait, 'Too many wrong tokens came from this address.')
  throw new CairnError('unauthenticated', 'This token is not known.', {
    hint: 'It may have been revoked; `cairn token list` shows those there are.',
  })
}

function bearerOf({ headers }: FastifyRequest): string | undefined {
  const { authorization } = headers
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1]
}

function limit(asked: Limiter, key: string, reply: FastifyReply): void {
  const wait = asked.take(key)
  if (wait > 0) throw limited(reply, wait, 'More requests came than are allowed in that time.')
}

function limited(reply: FastifyReply, wait: number, message: string): CairnError {
  reply.header('retry-after', String(Math.ceil(wait / 1000)))
  return new CairnError('rate_limited', message, { hint: 'Wait as long as Retry-After says.' })
}

function authorize(
  service: AccessService,
  token: Token,
  needs: Right,
  request: FastifyRequest,
): void {
  if (!allows(token.right, needs)) throw noRight(needs, token)
  if (isFor(service, token, request)) return
  throw new CairnError('access_denied', 'The token is for other datasets.', {
    hint: `The token "${token.name}" is for: ${[...(token.datasets ?? [])].join(', ')}.`,
  })
}

function isFor(service: AccessService, { datasets }: Token, request: FastifyRequest): boolean {
  if (datasets === undefined) return true
  const dataset = datasetOf(service, request)
  return dataset !== undefined && datasets.has(dataset)
}

/** The one that is asked about; undefined for what tells of all of them. */
function datasetOf(
  { values }: AccessService,
  { params, routeOptions }: FastifyRequest,
): string | undefined {
  const { dataset } = (params ?? {}) as { dataset?: string }
  if (dataset !== undefined) return dataset
  return routeOptions.config.older === true ? values().dataset : undefined
}
