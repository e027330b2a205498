/** All files of the dashboard, by the name that they are served under. */
import apiJs from "./api.js" with { type: "text" };
import appJs from "./app.js" with { type: "text" };
import bannerJs from "./banner.js" with { type: "text" };
import baseCss from "./base.css" with { type: "text" };
import bubbleJs from "./bubble.js" with { type: "text" };
import chartJs from "./chart.js" with { type: "text" };
import chartsJs from "./charts.js" with { type: "text" };
import chatCss from "./chat.css" with { type: "text" };
import chatJs from "./chat.js" with { type: "text" };
import chatModeJs from "./chat_mode.js" with { type: "text" };
import clockJs from "./clock.js" with { type: "text" };
import completionModeJs from "./completion_mode.js" with { type: "text" };
import controlsCss from "./controls.css" with { type: "text" };
import copyJs from "./copy.js" with { type: "text" };
import dataCardJs from "./data_card.js" with { type: "text" };
import deletableTableJs from "./deletable_table.js" with { type: "text" };
import dialogsJs from "./dialogs.js" with { type: "text" };
import domJs from "./dom.js" with { type: "text" };
import downloadJs from "./download.js" with { type: "text" };
import errorTextJs from "./error_text.js" with { type: "text" };
import eventSourceJs from "./event_source.js" with { type: "text" };
import fieldErrorsJs from "./field_errors.js" with { type: "text" };
import fileFieldJs from "./file_field.js" with { type: "text" };
import filesCss from "./files.css" with { type: "text" };
import filesJs from "./files.js" with { type: "text" };
import filesCardJs from "./files_card.js" with { type: "text" };
import filesViewJs from "./files_view.js" with { type: "text" };
import formatJs from "./format.js" with { type: "text" };
import generationStreamJs from "./generation_stream.js" with { type: "text" };
import heatmapJs from "./heatmap.js" with { type: "text" };
import homeJs from "./home.js" with { type: "text" };
import hyperparameterFieldsJs from "./hyperparameter_fields.js" with { type: "text" };
import iconsJs from "./icons.js" with { type: "text" };
import jobCss from "./job.css" with { type: "text" };
import jobDetailsJs from "./job_details.js" with { type: "text" };
import jobFormJs from "./job_form.js" with { type: "text" };
import jobHeaderJs from "./job_header.js" with { type: "text" };
import jobListJs from "./job_list.js" with { type: "text" };
import jobNoticeJs from "./job_notice.js" with { type: "text" };
import jobStatsJs from "./job_stats.js" with { type: "text" };
import jobViewJs from "./job_view.js" with { type: "text" };
import jobsJs from "./jobs.js" with { type: "text" };
import layoutCss from "./layout.css" with { type: "text" };
import liveJs from "./live.js" with { type: "text" };
import logViewJs from "./log_view.js" with { type: "text" };
import methodsJs from "./methods.js" with { type: "text" };
import modelsJs from "./models.js" with { type: "text" };
import moreJs from "./more.js" with { type: "text" };
import newJobCss from "./new_job.css" with { type: "text" };
import newJobJs from "./new_job.js" with { type: "text" };
import openapiJs from "./openapi.js" with { type: "text" };
import optionFieldJs from "./option_field.js" with { type: "text" };
import paceJs from "./pace.js" with { type: "text" };
import phaseJs from "./phase.js" with { type: "text" };
import planBarJs from "./plan_bar.js" with { type: "text" };
import planBatchesJs from "./plan_batches.js" with { type: "text" };
import planPanelJs from "./plan_panel.js" with { type: "text" };
import productJs from "./product.js" with { type: "text" };
import refreshMapJs from "./refresh_map.js" with { type: "text" };
import resultsCardJs from "./results_card.js" with { type: "text" };
import routerJs from "./router.js" with { type: "text" };
import runDataJs from "./run_data.js" with { type: "text" };
import samplesViewJs from "./samples_view.js" with { type: "text" };
import samplingJs from "./sampling.js" with { type: "text" };
import sidebarJs from "./sidebar.js" with { type: "text" };
import statusJs from "./status.js" with { type: "text" };
import tableJs from "./table.js" with { type: "text" };
import tablesJs from "./tables.js" with { type: "text" };
import tabsJs from "./tabs.js" with { type: "text" };
import templateFieldJs from "./template_field.js" with { type: "text" };
import textFieldJs from "./text_field.js" with { type: "text" };
import themeJs from "./theme.js" with { type: "text" };
import timeAgoJs from "./time_ago.js" with { type: "text" };
import uploadJs from "./upload.js" with { type: "text" };
import uploadFaultsJs from "./upload_faults.js" with { type: "text" };
import warningsCardJs from "./warnings_card.js" with { type: "text" };
import workerListJs from "./worker_list.js" with { type: "text" };
import workersJs from "./workers.js" with { type: "text" };
import page from "./index.html" with { type: "text" };
import { eventsourceParserJs, uplotCss, uplotJs } from "../../packages/dashboard.ts";

export const PAGE = page;

export const ASSETS = {
  "api.js": apiJs,
  "app.js": appJs,
  "banner.js": bannerJs,
  "base.css": baseCss,
  "bubble.js": bubbleJs,
  "chart.js": chartJs,
  "charts.js": chartsJs,
  "chat.css": chatCss,
  "chat.js": chatJs,
  "chat_mode.js": chatModeJs,
  "clock.js": clockJs,
  "completion_mode.js": completionModeJs,
  "controls.css": controlsCss,
  "copy.js": copyJs,
  "data_card.js": dataCardJs,
  "deletable_table.js": deletableTableJs,
  "dialogs.js": dialogsJs,
  "dom.js": domJs,
  "download.js": downloadJs,
  "error_text.js": errorTextJs,
  "event_source.js": eventSourceJs,
  "eventsource_parser.js": eventsourceParserJs,
  "field_errors.js": fieldErrorsJs,
  "file_field.js": fileFieldJs,
  "files.css": filesCss,
  "files.js": filesJs,
  "files_card.js": filesCardJs,
  "files_view.js": filesViewJs,
  "format.js": formatJs,
  "generation_stream.js": generationStreamJs,
  "heatmap.js": heatmapJs,
  "home.js": homeJs,
  "hyperparameter_fields.js": hyperparameterFieldsJs,
  "icons.js": iconsJs,
  "job.css": jobCss,
  "job_details.js": jobDetailsJs,
  "job_form.js": jobFormJs,
  "job_header.js": jobHeaderJs,
  "job_list.js": jobListJs,
  "job_notice.js": jobNoticeJs,
  "job_stats.js": jobStatsJs,
  "job_view.js": jobViewJs,
  "jobs.js": jobsJs,
  "layout.css": layoutCss,
  "live.js": liveJs,
  "log_view.js": logViewJs,
  "methods.js": methodsJs,
  "models.js": modelsJs,
  "more.js": moreJs,
  "new_job.css": newJobCss,
  "new_job.js": newJobJs,
  "openapi.js": openapiJs,
  "option_field.js": optionFieldJs,
  "pace.js": paceJs,
  "phase.js": phaseJs,
  "plan_bar.js": planBarJs,
  "plan_batches.js": planBatchesJs,
  "plan_panel.js": planPanelJs,
  "product.js": productJs,
  "refresh_map.js": refreshMapJs,
  "results_card.js": resultsCardJs,
  "router.js": routerJs,
  "run_data.js": runDataJs,
  "samples_view.js": samplesViewJs,
  "sampling.js": samplingJs,
  "sidebar.js": sidebarJs,
  "status.js": statusJs,
  "table.js": tableJs,
  "tables.js": tablesJs,
  "tabs.js": tabsJs,
  "template_field.js": templateFieldJs,
  "text_field.js": textFieldJs,
  "theme.js": themeJs,
  "time_ago.js": timeAgoJs,
  "upload.js": uploadJs,
  "upload_faults.js": uploadFaultsJs,
  "uplot.css": uplotCss,
  "uplot.js": uplotJs,
  "warnings_card.js": warningsCardJs,
  "worker_list.js": workerListJs,
  "workers.js": workersJs,
} as const;
export type AssetName = keyof typeof ASSETS;
