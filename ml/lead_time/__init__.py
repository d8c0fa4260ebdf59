"""Lead times: how long an order takes, as a distribution, with open orders counted as what they are: not yet known."""

from ml.lead_time.lanes import LeadTimeModel, fit_lead_times, predict_lanes, predict_open_orders

__all__ = ["LeadTimeModel", "fit_lead_times", "predict_lanes", "predict_open_orders"]
