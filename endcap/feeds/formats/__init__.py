"""The shelf of formats: each file cuts deliveries of one file format into records, and reads a record.

A format is a module with
  OPTIONS                                   option name -> its sentence
  KINDS                                     which kinds of file content it accepts (text, json, xml, zip, parquet)
  split(stream, options) -> chunks          cuts a delivery into raw records with their positions, without reading them deeply
  decode(raw, header, options) -> record    one raw record as nested text; raises BadRecord
  CASES                                     (bytes, options, expected records or quarantine codes)
  BROKEN                                    (bytes, options, code with which the whole delivery is refused)
"""
