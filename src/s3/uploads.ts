/** Uploads of large objects in parts, each with its checksum; what was sent of one that was cut off stays. */
import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import {
  cutOff,
  isCircle,
  type Connection,
  type PutOptions,
  type RequestOptions,
} from './connection.ts'
import { isMissing } from './errors.ts'

export interface UploadedPart {
  readonly number: number
  readonly etag: string
  readonly size: number
  /** Base64 of its sha2-256. */
  readonly sha256: string
}

export interface UnfinishedUpload {
  readonly key: string
  readonly id: string
  /** By the server's clock. */
  readonly begun: number
}

export class Uploads {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Answers the upload's id. Parts are numbered from 1, all but the last have 5 MiB at least. */
  async begin(key: string, options: PutOptions = {}): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...this.#connection.at(key),
      ChecksumAlgorithm: 'SHA256',
      ...this.#connection.described(options),
    })
    const { UploadId } = await this.#connection.again(
      `beginning to write ${key}`,
      options,
      (signal) =>
        this.#connection.send('put', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        ),
    )
    return UploadId ?? ''
  }

  async part(
    key: string,
    upload: string,
    number: number,
    bytes: Uint8Array,
    options: RequestOptions = {},
  ): Promise<UploadedPart> {
    const sha256 = createHash('sha256').update(bytes).digest('base64')
    const command = new UploadPartCommand({
      ...this.#connection.at(key),
      UploadId: upload,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: sha256,
    })
    const { ETag = '' } = await this.#connection.again(
      `writing part ${number} of ${key}`,
      options,
      (signal) => {
        this.#connection.noteOut(bytes.length)
        return this.#connection.send('put', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        )
      },
      bytes.length,
    )
    return { number, etag: ETag, size: bytes.length, sha256 }
  }

  /** The parts that are there; undefined when there is no such upload. */
  async parts(
    key: string,
    upload: string,
    options: RequestOptions = {},
  ): Promise<UploadedPart[] | undefined> {
    const parts: UploadedPart[] = []
    let marker: string | undefined
    do {
      const command = new ListPartsCommand({
        ...this.#connection.at(key),
        UploadId: upload,
        ...(marker === undefined ? {} : { PartNumberMarker: marker }),
      })
      const answer = await this.#connection.again(
        `listing the parts of ${key}`,
        options,
        async (signal) => {
          try {
            const page = await this.#connection.send('list', () =>
              this.#connection.client.send(command, { abortSignal: signal }),
            )
            if (isCircle(page, page.NextPartNumberMarker, marker))
              throw cutOff(key, this.#connection.location)
            return page
          } catch (error) {
            if (isMissing(error)) return undefined
            throw error
          }
        },
      )
      if (answer === undefined) return undefined
      for (const { PartNumber = 0, ETag = '', Size = 0, ChecksumSHA256 = '' } of answer.Parts ??
        []) {
        parts.push({ number: PartNumber, etag: ETag, size: Size, sha256: ChecksumSHA256 })
      }
      marker = answer.IsTruncated === true ? answer.NextPartNumberMarker : undefined
    } while (marker !== undefined)
    return parts
  }

  /**
   * The uploads under a prefix that were neither finished nor dropped. Some servers, such as MinIO, answer for
   * a whole key alone, and for the empty prefix of a whole bucket.
   */
  async unfinished(under: string, options: RequestOptions = {}): Promise<UnfinishedUpload[]> {
    const found: UnfinishedUpload[] = []
    let marker: { readonly key: string | undefined; readonly id: string | undefined } | undefined
    do {
      const command = new ListMultipartUploadsCommand({
        ...this.#connection.place,
        Prefix: this.#connection.full(under),
        ...(marker === undefined ? {} : { KeyMarker: marker.key, UploadIdMarker: marker.id }),
      })
      const answer = await this.#connection.again(
        `listing the uploads of ${under}`,
        options,
        async (signal) => {
          const page = await this.#connection.send('list', () =>
            this.#connection.client.send(command, { abortSignal: signal }),
          )
          const next = uploadPlace(page.NextKeyMarker, page.NextUploadIdMarker)
          if (isCircle(page, next, uploadPlace(marker?.key, marker?.id)))
            throw cutOff(under, this.#connection.location)
          return page
        },
      )
      for (const { Key = '', UploadId = '', Initiated } of answer.Uploads ?? []) {
        const key = Key.slice(this.#connection.address.prefix.length)
        found.push({ key, id: UploadId, begun: Initiated?.getTime() ?? 0 })
      }
      const { IsTruncated, NextKeyMarker: key, NextUploadIdMarker: id } = answer
      marker = IsTruncated === true ? { key, id } : undefined
    } while (marker !== undefined)
    return found
  }

  async end(
    key: string,
    upload: string,
    parts: readonly UploadedPart[],
    options: RequestOptions = {},
  ): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#connection.at(key),
      UploadId: upload,
      MultipartUpload: {
        Parts: parts.map(({ number, etag, sha256 }) => ({
          PartNumber: number,
          ETag: etag,
          ...(sha256 === '' ? {} : { ChecksumSHA256: sha256 }),
        })),
      },
    })
    await this.#connection.again(`finishing ${key}`, options, (signal) =>
      this.#connection.send('put', () =>
        this.#connection.client.send(command, { abortSignal: signal }),
      ),
    )
  }

  async drop(key: string, upload: string, options: RequestOptions = {}): Promise<void> {
    const command = new AbortMultipartUploadCommand({
      ...this.#connection.at(key),
      UploadId: upload,
    })
    await this.#connection.again(`dropping the upload of ${key}`, options, async (signal) => {
      try {
        await this.#connection.send('delete', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        )
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    })
  }
}

const uploadPlace = (key: string | undefined, id = ''): string | undefined =>
  key === undefined ? undefined : `${key} ${id}`
