/**
 * The calls of the system that Cairn replaces, for clients that were written for it, about the configured
 * dataset: its addresses, fields and texts. Unlike there, limits are held, pages are full and in one order,
 * and what was acknowledged is durable.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Service } from '../service.ts'
import { arkeEventRoutes } from './arke-events.ts'
import { arkeReadRoutes } from './arke-read.ts'
import { arkeSnapshotRoutes } from './arke-snapshots.ts'

export function arkeRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(arkeReadRoutes(service))
    await app.register(arkeEventRoutes(service))
    await app.register(arkeSnapshotRoutes(service))
  }
}
