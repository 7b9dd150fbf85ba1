/**
 * Uploaded CARs. The body goes into a file without a name in the data folder, which is gone with its last
 * user, however that ends. It is restored by a job, which proves all of it before anything changes.
 */
import type { FileHandle } from 'node:fs/promises'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { requireSpace } from '../../backup/space.ts'
import { openSpool, spoolPath } from '../../backup/spool.ts'
import { writeFully } from '../../car/file-sink.ts'
import type { Values } from '../../config/schema.ts'
import { CairnError, toCairnError } from '../../errors.ts'
import type { Job } from '../../jobs/job.ts'
import { restoreTask, type RestoreOptions } from '../../tasks/restore.ts'
import type { TaskResult } from '../../tasks/context.ts'
import { bodyOf } from './content-body.ts'
import { taskContext } from '../dataset-tasks.ts'
import { alone } from './job-requests.ts'
import type { Service } from '../service.ts'

const FOLDER = 'uploads'

/** Takes the body in. The file is the caller's to close. */
export async function receiveCar(
  { data_dir, upload_limit, upload_deadline }: Values,
  request: FastifyRequest,
): Promise<FileHandle> {
  const folder = join(data_dir, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced <= upload_limit) await requireSpace(folder, announced, 'The upload')
  const spool = await openSpool(folder)
  try {
    const deadline = AbortSignal.timeout(upload_deadline)
    await fill(spool, request, upload_limit, deadline)
    return spool
  } catch (error) {
    await spool.close()
    throw error
  }
}

async function fill(
  spool: FileHandle,
  request: FastifyRequest,
  most: number,
  deadline: AbortSignal,
): Promise<void> {
  let size = 0
  try {
    for await (const part of bodyOf(request, most, deadline)) {
      await writeFully(spool, part, size)
      size += part.length
    }
  } catch (error) {
    if (!deadline.aborted) throw error
    throw new CairnError('deadline_exceeded', 'The upload was not complete in its time.', {
      hint: 'Send it over a faster line, or raise upload_deadline.',
      cause: error,
    })
  }
  if (size === 0) {
    throw new CairnError('invalid_car', 'The body is empty.', { hint: 'Send a CAR.' })
  }
}

/** Starts the job, which closes the file at its end. */
export async function restoreReceived(
  service: Service,
  dataset: string,
  car: FileHandle,
  options: RestoreOptions,
): Promise<Job> {
  const path = spoolPath(car)
  const close = (): Promise<void> => car.close()
  try {
    const { job } = alone(
      service.jobs.start({
        dataset,
        kind: 'restore',
        reason: 'upload',
        work: (run): Promise<TaskResult> =>
          restoreTask(taskContext(service, dataset, run), { ...options, files: [path] }).catch(
            (error: unknown) => {
              throw withoutPath(toCairnError(error), path)
            },
          ),
      }),
    )
    void service.jobs.wait(job.id).then(close, close)
    return job
  } catch (error) {
    await close()
    throw error
  }
}

/** The path means nothing to whoever sent the file. */
function withoutPath(
  { code, message, hint, details, cause }: CairnError,
  path: string,
): CairnError {
  const { path: _, ...others } = details
  const told = (text: string): string => text.replaceAll(path, 'the uploaded file')
  return new CairnError(code, told(message), {
    ...others,
    ...(hint === undefined ? {} : { hint: told(hint) }),
    cause,
  })
}
