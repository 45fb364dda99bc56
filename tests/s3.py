"""An S3 server on a free port, for tests of media storage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

BUCKET = "veoapp-test"


@dataclass(frozen=True)
class S3:
    """A running server with one empty bucket. `client` is boto3's; `storage_options` fit `STORAGES[...]["OPTIONS"]`."""

    url: str
    bucket: str
    client: Any

    @property
    def storage_options(self) -> dict[str, Any]:
        return {
            "bucket_name": self.bucket,
            "access_key": "test",
            "secret_key": "test",
            "region_name": "us-east-1",
            "endpoint_url": self.url,
            "default_acl": None,
            "querystring_auth": True,
            "querystring_expire": 600,
            "file_overwrite": False,
            "signature_version": "s3v4",
        }


@pytest.fixture
def s3_server() -> Iterator[S3]:
    """An S3 server on 127.0.0.1 with an empty bucket, for one test."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # All servers share the buckets of this process, so those of earlier tests are removed first.
        requests.post(f"{url}/moto-api/reset", timeout=10).raise_for_status()
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        client.create_bucket(Bucket=BUCKET)
        yield S3(url=url, bucket=BUCKET, client=client)
    finally:
        server.stop()
