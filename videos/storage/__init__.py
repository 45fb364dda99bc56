"""Media files: stores, serves and deletes objects on a local disk or in S3, keeps partial downloads and users' source images.
The pipeline, views, actions and audits call it. It never changes a task's status or any credits.
"""
