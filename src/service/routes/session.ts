/**
 * The session: who is connected, free metadata, and saving when somebody leaves. A disconnect is durable
 * before its save begins; whether that is done, the answer says.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { isDeepStrictEqual } from 'node:util'
import { printContent } from '../../content/encode.ts'
import { CairnError } from '../../errors.ts'
import { hasEnded, type Job } from '../../jobs/job.ts'
import {
  checkUser,
  disconnectReason,
  withoutUsers,
  withUser,
  type ConnectedUser,
  type SessionRecord,
} from '../../live/session-record.ts'
import type { IpldMap } from '../../model/ipld.ts'
import { formatTime } from '../../model/time.ts'
import { VALUE_WEIGHT } from '../http/bodies.ts'
import { hideFolders } from '../http/folders.ts'
import { exactValue, useDagJsonBodies } from '../requests/dag-json-body.ts'
import { problems, streamOf } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import {
  Beaten,
  Changed,
  Connected,
  ConnectRequest,
  Disconnected,
  Initialized,
  Metadata,
  Saved,
  SaveQuery,
  SaveRequest,
  SessionAnswer,
  UserRequest,
  type UserRecord,
} from '../schemas/session.ts'
import type { Service } from '../service.ts'
import { accepted, waitFor } from './jobs.ts'

const tags = ['session']
const SESSION = '/v1/datasets/:dataset/session'
const WRITES = problems(404, 409, 422, 507)
/** A save that takes longer is answered as a job. */
const MAX_WAIT_MS = 60_000

export function sessionRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    hideFolders(app, service.values)
    await app.register(recordRoutes(service))
    await app.register(userRoutes(service))
    await app.register(saveRoutes(service))
  }
}

function recordRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    useDagJsonBodies(app, { ...service.values(), weight: VALUE_WEIGHT })
    app.get(
      SESSION,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getSession',
          tags,
          summary: 'Who is connected, whether it was initialized, and its metadata.',
          params: DatasetParams,
          querystring: NoQuery,
          response: {
            // It is printed here, and by no serializer.
            200: streamOf('application/json', 'Metadata is DAG-JSON.', SessionAnswer),
            ...problems(404, 422),
          },
        },
      },
      async ({ params }, reply) =>
        reply.type('application/json').send(print(await service.sessions.read(params.dataset))),
    )
    app.post(
      `${SESSION}/initialize`,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'initializeSession',
          tags,
          summary: 'Says that the state is initialized: for good, also after a restart.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: Initialized, ...WRITES },
        },
      },
      async ({ params }) => {
        const { before } = await service.sessions.change(params.dataset, (record) =>
          record.initialized ? record : { ...record, initialized: true },
        )
        return { initialized: true, changed: !before.initialized }
      },
    )
    app.put(
      `${SESSION}/metadata`,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'putSessionMetadata',
          tags,
          summary: 'Replaces the metadata of the session.',
          params: DatasetParams,
          querystring: NoQuery,
          body: Metadata,
          response: { 200: Changed, ...WRITES },
        },
      },
      async (request) => {
        const metadata = exactValue(request, request.body, [])
        if (!isPlainMap(metadata)) throw noMap()
        const { before, after } = await service.sessions.change(request.params.dataset, (record) =>
          isDeepStrictEqual(record.metadata, metadata) ? record : { ...record, metadata },
        )
        return { changed: before !== after }
      },
    )
  }
}

function userRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      `${SESSION}/connect`,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'connectUser',
          tags,
          summary: 'Connects a user, with a time after which who is silent counts as gone.',
          params: DatasetParams,
          querystring: NoQuery,
          body: ConnectRequest,
          response: { 200: Connected, 201: Connected, ...WRITES },
        },
      },
      async ({ params: { dataset }, body: { user, timeout_ms: timeout = null } }, reply) => {
        checkUser(user)
        const asked = { since: service.now(), timeout_ms: timeout }
        // Before it is written: a lapse that is under way looks whether something was heard.
        service.heartbeats.hear(dataset, user, asked)
        const { before, after } = await connect(service, dataset, user, asked)
        const connected = after.users[user] ?? asked
        service.heartbeats.hear(dataset, user, connected)
        reply.code(Object.hasOwn(before.users, user) ? 200 : 201)
        const { initialized } = after
        return { ...userRecord(user, connected), user_count: countOf(after), initialized }
      },
    )
    app.post(
      `${SESSION}/heartbeat`,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'heartbeatUser',
          tags,
          summary: 'Says that a user is still there; who is not connected any more learns it.',
          params: DatasetParams,
          querystring: NoQuery,
          body: UserRequest,
          response: { 200: Beaten, ...problems(404, 422) },
        },
      },
      async ({ params: { dataset }, body: { user } }) => {
        checkUser(user)
        const { users } = await service.sessions.read(dataset)
        const connected = Object.hasOwn(users, user) ? users[user] : undefined
        if (connected === undefined) throw notConnected(user, dataset)
        service.heartbeats.hear(dataset, user, connected)
        return { user, timeout_ms: connected.timeout_ms }
      },
    )
  }
}

function saveRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      `${SESSION}/disconnect`,
      {
        config: { right: 'append', stream: true },
        schema: {
          operationId: 'disconnectUser',
          tags,
          summary: 'Disconnects a user and saves; who is not connected is no error.',
          params: DatasetParams,
          querystring: SaveQuery,
          body: UserRequest,
          response: { 200: Disconnected, 202: Disconnected, ...WRITES },
        },
      },
      async (request, reply) => {
        const { dataset } = request.params
        const { user } = request.body
        checkUser(user)
        const { before, after } = await service.sessions.change(dataset, (record) =>
          withoutUsers(record, [user]),
        )
        service.heartbeats.forget(dataset, user)
        const disconnected = Object.hasOwn(before.users, user)
        const told = { user, disconnected, user_count: countOf(after) }
        if (!disconnected) return { ...told, saved: false, job: null }
        return { ...told, ...(await save(service, request, reply, disconnectReason(user))) }
      },
    )
    app.post(
      `${SESSION}/save`,
      {
        config: { right: 'append', stream: true },
        schema: {
          operationId: 'saveSession',
          tags,
          summary: 'Saves: a snapshot of all that was written before, with a reason.',
          params: DatasetParams,
          querystring: SaveQuery,
          body: SaveRequest,
          response: { 200: Saved, 202: Saved, ...problems(404, 409) },
        },
      },
      async (request, reply) => {
        await service.dataset(request.params.dataset)
        return save(service, request, reply, request.body.reason ?? 'manual')
      },
    )
  }
}

const connect = (
  { sessions }: Service,
  dataset: string,
  user: string,
  asked: ConnectedUser,
): ReturnType<Service['sessions']['change']> =>
  sessions.change(dataset, (record) => {
    const there = Object.hasOwn(record.users, user) ? record.users[user] : undefined
    if (there?.timeout_ms === asked.timeout_ms) return record
    return withUser(record, user, { ...asked, since: there?.since ?? asked.since })
  })

interface Waited {
  readonly params: { readonly dataset: string }
  readonly query: { readonly wait: boolean }
  readonly signal: AbortSignal
}

/** At its end, or as a job where nobody waits or it takes long. */
async function save(
  service: Service,
  { params, query, signal }: Waited,
  reply: FastifyReply,
  reason: string,
): Promise<{ saved: boolean; job: Job }> {
  const begun = await service.automation.save(params.dataset, reason)
  const job = query.wait ? await waitFor(service, begun, MAX_WAIT_MS, signal) : begun
  if (!hasEnded(job)) accepted(reply, job)
  return { saved: job.state === 'succeeded', job }
}

const countOf = ({ users }: SessionRecord): number => Object.keys(users).length

const userRecord = (user: string, { since, timeout_ms }: ConnectedUser): UserRecord => ({
  user,
  since: formatTime(since),
  timeout_ms,
})

function print(record: SessionRecord): string {
  const { initialized, metadata } = record
  const users = Object.entries(record.users)
    .map(([user, connected]) => userRecord(user, connected))
    .toSorted((a, b) => (a.user < b.user ? -1 : 1))
  const text = JSON.stringify({ initialized, user_count: users.length, users })
  return `${text.slice(0, -1)},"metadata":${printContent(metadata)}}`
}

/** A body such as `{"/": CID}` is a link as DAG-JSON. */
const isPlainMap = (value: unknown): value is IpldMap =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

function noMap(): CairnError {
  return new CairnError('invalid_content', 'The metadata of a session is an object.', {
    hint: 'Put a link or bytes into a field of it.',
  })
}

function notConnected(user: string, dataset: string): CairnError {
  return new CairnError('not_found', `The user "${user}" is not connected to "${dataset}".`, {
    hint: 'It was disconnected, or nothing was heard of it in its time: connect it anew.',
    user,
  })
}
