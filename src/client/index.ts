/**
 * A client of `cairn serve`, for Node 20.19 or newer and for browsers: fetch, streams and WebCrypto, nothing
 * else. docs/CLIENTS.md has examples.
 */
import { followChanges, type FollowedChange, type FollowOptions } from './changes.ts'
import { jobCalls, type JobCalls } from './jobs.ts'
import { mapClient, type MapClient } from './map.ts'
import type { MapsPageRecord } from './live-records.ts'
import { readCalls, type ReadCalls } from './reads.ts'
import type { DatasetSettings } from './records.ts'
import { sessionCalls, type SessionCalls } from './session.ts'
import { transferCalls, type TransferCalls } from './transfer.ts'
import { transport, type CallOptions, type ConnectOptions } from './transport.ts'
import { writeCalls, type WriteCalls } from './writes.ts'

export { CairnClientError, isClientError } from './error.ts'
export type * from './care-records.ts'
export type { EntryChange, FollowedChange, FollowOptions, GenerationChange } from './changes.ts'
export type { Content } from './content.ts'
export type * from './job-records.ts'
export type { JobCalls, WaitOptions } from './jobs.ts'
export type * from './live-records.ts'
export type { MapClient, SetConditions, SetOptions } from './map.ts'
export type { ReadCalls } from './reads.ts'
export type * from './records.ts'
export type { SessionCalls } from './session.ts'
export type { Download, TransferCalls } from './transfer.ts'
export type { Body, CallOptions, ConnectOptions } from './transport.ts'
export type { WriteEntry } from './write.ts'
export type { WriteCalls } from './writes.ts'

export interface DatasetClient extends ReadCalls, WriteCalls, JobCalls, TransferCalls {
  readonly name: string
  /** Makes it; false when it is there already, with these settings. */
  readonly make: (settings?: DatasetSettings, options?: CallOptions) => Promise<boolean>
  /** The log as it grows; it connects again by itself, without gaps and without repeating anything. */
  readonly changes: (options?: FollowOptions) => AsyncGenerator<FollowedChange, undefined>
  /** A live map, typed by the caller; it is made with its first key. */
  readonly map: <T = unknown>(name: string) => MapClient<T>
  /** A page of the maps there are, by name. */
  readonly maps: (
    query?: { readonly limit?: number; readonly cursor?: string },
    options?: CallOptions,
  ) => Promise<MapsPageRecord>
  readonly session: () => SessionCalls
}

export interface Client {
  readonly dataset: (name: string) => DatasetClient
  readonly datasets: (options?: CallOptions) => Promise<readonly string[]>
}

/** Connects to nothing yet: every call does. */
export function connect(options: ConnectOptions): Client {
  const http = transport(options)
  return {
    dataset: (name) => {
      const place = `/v1/datasets/${encodeURIComponent(name)}`
      const target = { http, place }
      return {
        name,
        ...readCalls(target),
        ...writeCalls(target),
        ...jobCalls(target),
        ...transferCalls(target),
        make: async (json = {}, { signal } = {}) => {
          const call = { method: 'PUT', path: place, json, retry: 'always', signal } as const
          return (await http.json<{ created: boolean }>(call)).created
        },
        changes: (follow = {}) => followChanges(target, follow),
        map: <T>(map: string) => mapClient<T>(target, map),
        maps: (query, { signal } = {}) =>
          http.json({ method: 'GET', path: `${place}/maps`, query, retry: 'always', signal }),
        session: () => sessionCalls(target),
      }
    },
    datasets: async ({ signal } = {}) => {
      const call = { method: 'GET', path: '/v1/datasets', retry: 'always', signal } as const
      return (await http.json<{ datasets: readonly string[] }>(call)).datasets
    },
  }
}
