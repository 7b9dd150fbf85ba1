/** The body of an RPC that takes files: every file is a list of buffers, sent without copying them. */
import { randomBytes } from 'node:crypto'

export interface FilePart {
  readonly name: string
  readonly chunks: readonly Uint8Array[]
}

export interface MultipartBody {
  readonly contentType: string
  readonly length: number
  readonly chunks: readonly Uint8Array[]
}

export function multipart(files: readonly FilePart[]): MultipartBody {
  const boundary = `cairn-${randomBytes(18).toString('hex')}`
  const chunks: Uint8Array[] = []
  for (const file of files) {
    chunks.push(
      Buffer.from(
        `--${boundary}\r\n` +
          `Content-Disposition: form-data; name="file"; filename="${encodeURIComponent(file.name)}"\r\n` +
          'Content-Type: application/octet-stream\r\n\r\n',
      ),
    )
    for (const chunk of file.chunks) chunks.push(chunk)
    chunks.push(Buffer.from('\r\n'))
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`))
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  return { contentType: `multipart/form-data; boundary=${boundary}`, length, chunks }
}
