/** Reports: made from plain data, and made again from what was saved. */
export { readReportData, type ReportData } from './data.js';
export { renderReport, REPORT_DATA_FILE, writeReport } from './report.js';
