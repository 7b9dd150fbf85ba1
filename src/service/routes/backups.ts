/** The backups of a dataset: their sidecars, and their files, whole or a part. */
import { open, type FileHandle } from 'node:fs/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Backup } from '../../backup/folder.ts'
import { CairnError } from '../../errors.ts'
import { backupsOf, readBackupOf } from '../requests/backup-files.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { rangeOf, type ByteRange } from '../http/range.ts'
import { NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { BackupParams, Backups } from '../schemas/backup.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import type { Service } from '../service.ts'
import { nothing, started } from '../http/stream.ts'

const tags = ['backups']
const CAR = 'application/vnd.ipld.car'
const ENCRYPTED = 'application/octet-stream'

export function backupRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/datasets/:dataset/backups',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listBackups',
          tags,
          summary: 'The backups in the folder of the service, newest first.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: Backups },
        },
      },
      // Also of a dataset that is lost: that is what they are for.
      async ({ params: { dataset } }) => {
        const backups = await backupsOf(service.values().backups_dir, dataset)
        return { items: backups.map(({ sidecar }) => sidecar) }
      },
    )
    app.get(
      '/v1/datasets/:dataset/backups/:filename',
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getBackup',
          tags,
          summary: 'The file of a backup; one range of its bytes with Range.',
          params: BackupParams,
          querystring: NoQuery,
          response: {
            200: streamOf(CAR, 'The whole file.'),
            206: streamOf(CAR, 'The range that was asked for.'),
            304: NOT_MODIFIED,
            ...problems(404, 416),
          },
        },
      },
      async (request, reply) => {
        const { dataset, filename } = request.params
        const backup = await readBackupOf(service.values().backups_dir, dataset, filename)
        return sendFile(request, reply, backup)
      },
    )
  }
}

async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  { sidecar, paths }: Backup,
): Promise<FastifyReply> {
  const { size_bytes: size, sha256, filename, encrypted } = sidecar
  const tag = `"${sha256}"`
  if (isKnown(request, reply, tag)) return notModified(reply)
  reply.header('accept-ranges', 'bytes')
  const range = rangeOf(request, { size, tag })
  if (range === 'none') throw noRange(reply, size)
  const { from, to } = range ?? { from: 0, to: size - 1 }
  if (range !== undefined) reply.code(206).header('content-range', `bytes ${from}-${to}/${size}`)
  void reply
    .type(encrypted ? ENCRYPTED : CAR)
    .header('content-length', String(to - from + 1))
    .header('content-disposition', `attachment; filename="${filename}"`)
  if (request.method === 'HEAD') return reply.send(nothing())
  const file = await open(paths.car)
  return reply.send(await started(partsOf(file, { from, to })))
}

function noRange(reply: FastifyReply, size: number): CairnError {
  reply.header('content-range', `bytes */${size}`)
  return new CairnError('range_impossible', `The file has ${size} bytes, and not that range.`, {
    hint: 'Ask for a range within it; Content-Range has its size.',
    size,
  })
}

const PART_BYTES = 256 * 1024

/** A file that turns out to be shorter is an error, which resets the connection. */
async function* partsOf(file: FileHandle, { from, to }: ByteRange): AsyncGenerator<Uint8Array> {
  try {
    for (let at = from; at <= to;) {
      const part = new Uint8Array(Math.min(PART_BYTES, to - at + 1))
      const { bytesRead } = await file.read(part, 0, part.length, at)
      if (bytesRead === 0) {
        throw new CairnError('invalid_car', 'A backup became shorter while it was read.', {
          hint: 'Take another one; `cairn prune` may have removed this.',
        })
      }
      yield part.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await file.close()
  }
}
