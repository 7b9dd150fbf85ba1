/** A store in a bucket, made without asking the server whether it is fit: one test does that for all. */
import { parseBucketAddress } from '../../src/s3/address.ts'
import { Bucket } from '../../src/s3/bucket.ts'

export async function preparedPrefix(address: string): Promise<void> {
  const bucket = new Bucket(parseBucketAddress(address))
  await bucket.put('cairn.json', Buffer.from('{"kind":"cairn-bucket","format":1}\n'))
  bucket.close()
}
